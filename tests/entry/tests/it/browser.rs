//! What a browser does: cookies kept by host, forms filled in and sent, nothing followed unasked.

use std::collections::BTreeMap;
use std::sync::Mutex;

use fake_salesforce::server::DEFAULT_PASSWORD;
use reqwest::{Client, Method, RequestBuilder, StatusCode, header};
use url::Url;

use crate::house::House;

/// One browser.
pub(crate) struct Browser<'a> {
    pub(crate) house: &'a House,
    client: Client,
    /// By host and port, which is stricter than a browser, and name.
    cookies: Mutex<BTreeMap<(String, String), String>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) text: String,
    pub(crate) url: Url,
}

impl Page {
    /// Where it sends the browser.
    pub(crate) fn to(&self) -> Url {
        let to = self.headers[header::LOCATION].to_str().unwrap();
        self.url.join(to).unwrap()
    }

    /// What the first hidden field of that name holds.
    pub(crate) fn hidden(&self, name: &str) -> String {
        between(&self.text, &format!("name=\"{name}\" value=\""), "\"").to_owned()
    }

    pub(crate) fn form_token(&self) -> String {
        self.hidden("form_token")
    }

    /// The lines that set cookies.
    pub(crate) fn set_cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter();
        lines
            .map(|line| line.to_str().unwrap().to_owned())
            .collect()
    }
}

pub(crate) fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}

impl<'a> Browser<'a> {
    pub(crate) fn new(house: &'a House) -> Self {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        Self {
            house,
            client: client.build().unwrap(),
            cookies: Mutex::default(),
        }
    }

    /// The console's cookie of that name.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let host = self.house.address.to_string();
        let cookies = self.cookies.lock().unwrap();
        cookies.get(&(host, name.to_owned())).cloned()
    }

    /// Somebody plants a cookie, or takes it away.
    pub(crate) fn plant(&self, name: &str, value: Option<&str>) {
        let key = (self.house.address.to_string(), name.to_owned());
        let mut cookies = self.cookies.lock().unwrap();
        match value {
            Some(value) => cookies.insert(key, value.to_owned()),
            None => cookies.remove(&key),
        };
    }

    pub(crate) async fn get(&self, path: &str) -> Page {
        self.send(self.client.get(self.house.url(path))).await
    }

    /// What a page's script asks for without anybody's doing.
    pub(crate) async fn get_by_itself(&self, path: &str) -> Page {
        let request = self.client.get(self.house.url(path));
        self.send(request.header("x-mosync-by-itself", "1")).await
    }

    /// The status alone; `None` when there was no answer.
    pub(crate) async fn try_get(&self, path: &str) -> Option<StatusCode> {
        let asked = self.client.get(self.house.url(path)).send().await;
        asked.ok().map(|answer| answer.status())
    }

    /// A form of a page of the console, sent as a browser does.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let origin = self.house.origin();
        self.post_from(Some(&origin), path, form).await
    }

    /// A form of a page of somewhere else.
    pub(crate) async fn post_from(
        &self,
        origin: Option<&str>,
        path: &str,
        form: &[(&str, &str)],
    ) -> Page {
        let mut request = self.client.post(self.house.url(path)).form(form);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        self.send(request).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.house.url(path))
    }

    /// With the cookies of the host; keeps those that come.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Page {
        let mut request = request.build().unwrap();
        let host = request.url().authority().to_owned();
        let line = {
            let cookies = self.cookies.lock().unwrap();
            let ours = cookies.iter().filter(|((of, _), _)| *of == host);
            let pairs: Vec<String> = ours
                .map(|((_, name), value)| format!("{name}={value}"))
                .collect();
            pairs.join("; ")
        };
        if !line.is_empty() {
            let line = header::HeaderValue::from_str(&line).unwrap();
            request.headers_mut().insert(header::COOKIE, line);
        }
        let url = request.url().clone();
        let response = self.client.execute(request).await.unwrap();
        let page = Page {
            status: response.status(),
            headers: response.headers().clone(),
            text: whole(response).await,
            url,
        };
        for line in page.set_cookies() {
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let key = (host.clone(), name.to_owned());
            let mut cookies = self.cookies.lock().unwrap();
            if attributes.contains("Max-Age=0") {
                cookies.remove(&key);
            } else {
                cookies.insert(key, value.to_owned());
            }
        }
        page
    }

    /// At Salesforce: logs in and lets the app in; the address that the browser is sent back to.
    pub(crate) async fn at_salesforce(&self, address: Url, username: &str) -> Url {
        let mut page = self.send(self.client.get(address.clone())).await;
        // A browser that is logged in is not asked again.
        if page.text.contains("login_form") {
            let form = [("username", username), ("pw", DEFAULT_PASSWORD)];
            let inside = self.send(self.client.post(address).form(&form)).await;
            assert_eq!(inside.status, StatusCode::FOUND, "{}", inside.text);
            page = self.send(self.client.get(inside.to())).await;
        }
        if page.status == StatusCode::OK {
            let allow = self.client.post(page.url.clone());
            page = self.send(allow.form(&[("approval", "allow")])).await;
        }
        page.to()
    }

    /// From the page that asks to sign in to wherever that ends.
    pub(crate) async fn sign_in(&self, username: &str) -> Page {
        let begun = self.get("/sign-in?return=%2Fsync-status").await;
        assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
        let back = self.at_salesforce(begun.to(), username).await;
        self.send(self.client.get(back)).await
    }
}

/// Somebody who has signed in.
pub(crate) async fn signed_in<'a>(house: &'a House, username: &str) -> Browser<'a> {
    let browser = Browser::new(house);
    let page = browser.sign_in(username).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    browser
}

/// The body; of a stream that does not end, none.
async fn whole(response: reqwest::Response) -> String {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind == "text/event-stream") {
        return String::new();
    }
    response.text().await.unwrap()
}
