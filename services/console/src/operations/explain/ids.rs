//! The id in what a person pastes.

use domain::SalesforceId;
use domain::id::IdError;

/// Reads an id of 15 or 18 characters, or the first one in the address of a page of Salesforce's, such
/// as `https://acme.lightning.force.com/lightning/r/Opportunity/006.../view`.
pub(super) fn read(asked: &str) -> Result<SalesforceId, IdError> {
    let asked = asked.trim();
    let address = asked.split_once("://").map(|(_, address)| address);
    // A browser may leave the scheme out.
    let Some(address) = address.or_else(|| asked.contains('/').then_some(asked)) else {
        return SalesforceId::parse(asked);
    };
    // Without the host, which is not Salesforce's to choose.
    let address = address.split_once('/').map_or("", |(_, path)| path);
    let words = address.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mut nearly = None;
    for word in words.filter(|word| word.len() == 15 || word.len() == 18) {
        match SalesforceId::parse(word) {
            // An object's name may have as many letters; ids have a digit in their first three.
            Ok(id) if id.key_prefix().bytes().any(|byte| byte.is_ascii_digit()) => return Ok(id),
            Ok(_) => {}
            Err(error) => {
                if word.starts_with(|first: char| first.is_ascii_digit()) {
                    nearly.get_or_insert(error);
                }
            }
        }
    }
    Err(nearly.unwrap_or(IdError::Length(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_an_address() {
        let id = "006Dp00000H8YVWIA3";
        let short = id.chars().take(15).collect::<String>();
        let id = SalesforceId::parse(&short).unwrap();
        for asked in [
            id.as_str().to_owned(),
            format!(" {short} "),
            format!("https://acme.lightning.force.com/lightning/r/Opportunity/{id}/view"),
            format!("https://acme.my.salesforce.com/{short}"),
            format!("acme.my.salesforce.com/{id}"),
            format!("https://acme.lightning.force.com/lightning/r/{id}/view?ws=%2Flightning%2Fr"),
            format!("https://x.force.com/lightning/r/OpportunityTeam/{id}/related/Roles/view"),
        ] {
            assert_eq!(read(&asked), Ok(id), "{asked}");
        }
    }

    #[test]
    fn what_holds_no_id_says_what_is_wrong() {
        let lower = "006Dp00000H8YVWIA3".to_lowercase();
        assert!(read("").is_err() && read("https://acme.my.salesforce.com/").is_err());
        assert_eq!(read("0061"), Err(IdError::Length(4)));
        assert_eq!(
            read("https://abcdefghijklmno.example.com"),
            Err(IdError::Length(0))
        );
        let address = format!("https://acme.my.salesforce.com/{lower}");
        assert_eq!(read(&address), Err(IdError::Checksum));
    }
}
