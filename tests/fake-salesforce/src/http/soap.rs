//! `/services/Soap/u/<version>`: sign-in by user name, password and token, and the few calls that
//! have no REST counterpart. The elements of an answer stand in the order of the WSDL: clients read
//! them by position.
use super::reply::Reply;
use super::{App, Incoming};
use crate::dml::Dml;
use crate::id;
use crate::record::Record;

/// Answers a SOAP request.
pub(crate) fn answer(app: &App, incoming: &Incoming, version: &str) -> Reply {
    let body = String::from_utf8_lossy(&incoming.body);
    let call = ["login", "logout", "getUserInfo", "undelete"]
        .into_iter()
        .find(|call| element(&body, call).is_some());
    app.counters
        .add(&format!("soap.{}", call.unwrap_or("unknown")));
    match call {
        Some("login") => login(app, &body, version),
        Some(call) => match session(app, &body) {
            Some((token, user)) => match call {
                "logout" => {
                    app.tokens.revoke(&token);
                    envelope(200, "<logoutResponse/>")
                }
                "undelete" => undelete(app, &body, user.id()),
                _ => {
                    let info = user_info(app, &user);
                    let result = format!(
                        "<getUserInfoResponse><result>{info}</result></getUserInfoResponse>"
                    );
                    envelope(200, &result)
                }
            },
            None => fault(
                "INVALID_SESSION_ID",
                "Invalid Session ID found in SessionHeader: Illegal Session",
                "UnexpectedErrorFault",
            ),
        },
        None => fault(
            "UNKNOWN_EXCEPTION",
            "the fake org knows login, logout, getUserInfo and undelete",
            "UnexpectedErrorFault",
        ),
    }
}

fn login(app: &App, body: &str, version: &str) -> Reply {
    let given = |name: &str| element(body, name).map(unescaped).unwrap_or_default();
    let (username, password) = (given("username"), given("password"));
    let state = app.org.state();
    let users = state.table("User");
    let user = users
        .into_iter()
        .flat_map(|users| users.all())
        .find(|user| {
            user.text("Username")
                .is_some_and(|name| name.eq_ignore_ascii_case(&username))
        });
    let client = &app.client;
    let whole = format!("{}{}", client.password, client.security_token);
    // Who names the organization comes from a trusted address and needs no token.
    let trusted = id::to_18(&given("organizationId")).as_deref() == Some(app.org.org_id());
    let Some(user) = user else {
        return refused("INVALID_LOGIN", WRONG);
    };
    if password != whole && !(trusted && password == client.password) {
        return if password == client.password {
            refused(
                "LOGIN_MUST_USE_SECURITY_TOKEN",
                "Invalid username, password, security token; or user locked out. Are you at a new location? When accessing Salesforce--either via a desktop client or the API--from outside of your company's trusted networks, you must add a security token to your password to log in.",
            )
        } else {
            refused("INVALID_LOGIN", WRONG)
        };
    }
    if !user.flag("IsActive") {
        return refused("INVALID_LOGIN", WRONG);
    }
    let org_15 = app.org.org_id().get(..15).unwrap_or_default();
    let org = app.org.record("Organization", app.org.org_id());
    let sandbox = org.is_some_and(|org| org.flag("IsSandbox"));
    let url = |kind: &str| {
        escaped(&format!(
            "{}/services/Soap/{kind}/{version}/{org_15}",
            app.instance_url
        ))
    };
    let result = format!(
        "<loginResponse><result>\
         <metadataServerUrl>{}</metadataServerUrl>\
         <passwordExpired>false</passwordExpired>\
         <sandbox>{sandbox}</sandbox>\
         <serverUrl>{}</serverUrl>\
         <sessionId>{}</sessionId>\
         <userId>{}</userId>\
         <userInfo>{}</userInfo>\
         </result></loginResponse>",
        url("m"),
        url("u"),
        escaped(&app.tokens.issue(user.id())),
        user.id(),
        user_info(app, user),
    );
    envelope(200, &result)
}

const WRONG: &str = "Invalid username, password, security token; or user locked out.";

fn user_info(app: &App, user: &Record) -> String {
    let text = |name: &str| escaped(user.text(name).unwrap_or_default());
    let org = app.org.record("Organization", app.org.org_id());
    let org_name = org.as_ref().and_then(|org| org.text("Name"));
    let (id, name) = (app.org.org_id(), escaped(org_name.unwrap_or_default()));
    format!(
        "<accessibilityMode>false</accessibilityMode>\
         <chatterExternal>false</chatterExternal>\
         <currencySymbol>$</currencySymbol>\
         <orgAttachmentFileSizeLimit>5242880</orgAttachmentFileSizeLimit>\
         <orgDefaultCurrencyIsoCode>USD</orgDefaultCurrencyIsoCode>\
         <orgDefaultCurrencyLocale>en_US</orgDefaultCurrencyLocale>\
         <orgDisallowHtmlAttachments>false</orgDisallowHtmlAttachments>\
         <orgHasPersonAccounts>false</orgHasPersonAccounts>\
         <organizationId>{id}</organizationId>\
         <organizationMultiCurrency>false</organizationMultiCurrency>\
         <organizationName>{name}</organizationName>\
         <profileId>{}</profileId>\
         <roleId xsi:nil=\"true\"/>\
         <sessionSecondsValid>7200</sessionSecondsValid>\
         <userDefaultCurrencyIsoCode xsi:nil=\"true\"/>\
         <userEmail>{}</userEmail>\
         <userFullName>{}</userFullName>\
         <userId>{}</userId>\
         <userLanguage>{}</userLanguage>\
         <userLocale>{}</userLocale>\
         <userName>{}</userName>\
         <userTimeZone>{}</userTimeZone>\
         <userType>Standard</userType>\
         <userUiSkin>Theme3</userUiSkin>",
        text("ProfileId"),
        text("Email"),
        text("Name"),
        user.id(),
        text("LanguageLocaleKey"),
        text("LocaleSidKey"),
        text("Username"),
        text("TimeZoneSidKey"),
    )
}

/// The session in the header, and whose it is.
fn session(app: &App, body: &str) -> Option<(String, Record)> {
    let token = unescaped(element(body, "sessionId")?);
    let session = app.tokens.session(&token, true)?;
    let user = app.org.record("User", &session.user)?;
    Some((token, user))
}

fn undelete(app: &App, body: &str, user: &str) -> Reply {
    let call = element(body, "undelete").unwrap_or_default();
    let ids = elements(call, "ids").into_iter().map(unescaped);
    let ids: Vec<String> = ids.collect();
    let ops = ids.iter().map(|record| Dml::Undelete {
        entity: id::entity_of(record)
            .map_or("", |entity| entity.name)
            .to_owned(),
        id: record.clone(),
    });
    let origin = "com/salesforce/api/soap/67.0";
    let results = app.org.write(user, origin, ops.collect(), false);
    let results: String = results
        .iter()
        .zip(&ids)
        .map(|(result, id)| match &result.error {
            None => format!(
                "<result><id>{}</id><success>true</success></result>",
                escaped(id)
            ),
            Some(error) => format!(
                "<result><errors><message>{}</message><statusCode>{}</statusCode></errors>\
                 <id xsi:nil=\"true\"/><success>false</success></result>",
                escaped(&error.message),
                error.code,
            ),
        })
        .collect();
    envelope(
        200,
        &format!("<undeleteResponse>{results}</undeleteResponse>"),
    )
}

fn refused(code: &str, message: &str) -> Reply {
    fault(code, message, "LoginFault")
}

fn fault(code: &str, message: &str, kind: &str) -> Reply {
    let message = escaped(message);
    let fault = format!(
        "<soapenv:Fault><faultcode>sf:{code}</faultcode>\
         <faultstring>{code}: {message}</faultstring>\
         <detail><sf:{kind} xsi:type=\"sf:{kind}\">\
         <sf:exceptionCode>{code}</sf:exceptionCode>\
         <sf:exceptionMessage>{message}</sf:exceptionMessage>\
         </sf:{kind}></detail></soapenv:Fault>"
    );
    envelope(500, &fault)
}

fn envelope(status: u16, body: &str) -> Reply {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns=\"urn:partner.soap.sforce.com\" xmlns:sf=\"urn:fault.partner.soap.sforce.com\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    );
    Reply::text(status, "text/xml;charset=UTF-8", text.into_bytes())
}

/// What the first element of this local name holds.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    elements(xml, name).into_iter().next()
}

/// What each element of this local name holds, whatever its prefix; none of them holds another.
fn elements<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some((_, opened)) = rest.split_once('<') {
        rest = opened;
        let Some((tag, after)) = opened.split_once('>') else {
            break;
        };
        let qualified = tag.split_whitespace().next().unwrap_or_default();
        let qualified = qualified.trim_end_matches('/');
        let local = qualified.rsplit(':').next().unwrap_or_default();
        if local != name || tag.starts_with('/') {
            continue;
        }
        if tag.ends_with('/') {
            found.push("");
            continue;
        }
        if let Some((content, after)) = after.split_once(&format!("</{qualified}>")) {
            found.push(content);
            rest = after;
        }
    }
    found
}

fn unescaped(text: &str) -> String {
    let plain = text.trim();
    let plain = match plain.strip_prefix("<![CDATA[") {
        Some(inside) => return inside.trim_end_matches("]]>").to_owned(),
        None => plain,
    };
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&amp;", "&"),
    ];
    named.iter().fold(plain.to_owned(), |text, (entity, sign)| {
        text.replace(entity, sign)
    })
}

fn escaped(text: &str) -> String {
    let signs = [
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("\"", "&quot;"),
    ];
    signs.iter().fold(text.to_owned(), |text, (sign, entity)| {
        text.replace(sign, entity)
    })
}
