//! A mail as a mail program shows it.

use mail_parser::MessageParser;
use ports::courier::KeptMail;

/// Reads what was written as a file.
///
/// # Errors
/// A sentence, when it is no mail.
pub(crate) fn mail(file: String, bytes: &[u8]) -> Result<KeptMail, String> {
    let parsed = MessageParser::default().parse(bytes).ok_or_else(|| {
        format!("the file {file} is no mail any more; it is deleted when a thousand newer ones lie there")
    })?;
    let addresses = |list: Option<&mail_parser::Address<'_>>| {
        let list = list.into_iter().flat_map(mail_parser::Address::iter);
        let texts = list.filter_map(|one| one.address().map(str::to_owned));
        texts.collect::<Vec<_>>()
    };
    Ok(KeptMail {
        from: addresses(parsed.from()).join(", "),
        to: addresses(parsed.to()),
        subject: parsed.subject().unwrap_or_default().to_owned(),
        text: parsed.body_text(0).unwrap_or_default().into_owned(),
        file,
    })
}
