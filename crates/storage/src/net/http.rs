//! One request and its whole answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::{Method, StatusCode, header};

use super::{Failure, Pace, Refusal, Traffic, check_host, guard::GuardedResolver, traffic::Kind};

/// How long to wait for a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes.
    pub stall: Duration,
    /// An answer may be slower than [`Patience::least_rate`] for so long in all.
    pub grace: Duration,
    /// Bytes a second below which a server is as good as dead.
    pub least_rate: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), stall: Duration::from_secs(60), grace: Duration::from_secs(60), least_rate: 16 << 10 }
    }
}

impl Patience {
    fn for_bytes(&self, bytes: u64) -> Duration {
        self.grace + Duration::from_secs(bytes / self.least_rate.max(1))
    }
}

/// Longer answers are refused: no object of ours that is read whole is so long.
const ANSWER_BYTES: usize = 1 << 30;

/// What is said of an error at most, in characters.
const MESSAGE_CHARS: usize = 200;

/// At a limit, so many bytes go at once.
const PACED_BYTES: usize = 16 << 10;

pub(crate) type Request = http::Request<Bytes>;
pub(crate) type Response = http::Response<Bytes>;

/// Makes requests: to no forbidden address, following no redirect, counted, at a limited pace, and never waiting for ever.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    patience: Patience,
    pace: Option<Arc<Pace>>,
    traffic: Arc<Traffic>,
}

impl Http {
    /// A client that also trusts the given certificates (PEM).
    pub fn new(certificates: Option<&[u8]>, patience: Patience, pace: Option<Arc<Pace>>, traffic: Arc<Traffic>) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("keepsake/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(GuardedResolver))
            .connect_timeout(patience.connect)
            // What was sent and is not acknowledged for so long never arrives.
            .tcp_user_timeout(patience.stall)
            .http1_only()
            .tcp_nodelay(true);
        if let Some(pem) = certificates {
            let trusted = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| format!("its certificate file cannot be read: {e}"))?;
            builder = builder.tls_certs_merge(trusted);
        }
        let client = builder.build().map_err(|e| format!("no client for HTTP can be made: {}", chain(&e)))?;
        Ok(Self { client, patience, pace, traffic })
    }

    /// Where what is used is counted.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Makes a request. Answers that are a success, or that say something of an object (304, 404, and to a write 409, 412), are given back;
    /// all else is a failure.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        let (parts, body) = request.into_parts();
        let url: reqwest::Url = parts.uri.to_string().parse().map_err(|e| Failure::Never(format!("its URL cannot be read: {e}")))?;
        check_host(&url).map_err(Failure::Never)?;
        self.traffic.request(kind(&parts.method, &url));
        let length = body.len() as u64;
        let writes = !matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE);
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        if length > 0 || matches!(*request.method(), Method::PUT | Method::POST) {
            request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
        *request.body_mut() = Some(self.paced(body));
        let answer = tokio::time::timeout(self.patience.for_bytes(length), self.client.execute(request));
        let answer = match answer.await {
            Ok(answer) => answer.map_err(|e| network_failure(&e))?,
            Err(_) => return Err(Failure::Network("the server did not answer in time".into())),
        };
        self.traffic.bytes_sent(length);
        if let Some(ahead) = answer.headers().get("date").and_then(|at| clock_ahead(at.to_str().ok()?)) {
            self.traffic.saw_clock(ahead);
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut expected = answer.content_length();
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            expected = None;
        }
        let bytes = self.whole(answer, expected.unwrap_or(0)).await?;
        let refusal = refusal(status, &headers, &bytes);
        let says_of_object = match status.as_u16() {
            304 | 404 => true,
            409 | 412 => writes,
            _ => false,
        };
        let of_object = says_of_object && !refusal.is_missing_place() && !refusal.is_transient();
        if !status.is_success() && !of_object {
            return Err(Failure::Refused(refusal));
        }
        let mut response = http::Response::new(bytes);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn paced(&self, body: Bytes) -> reqwest::Body {
        let Some(pace) = self.pace.clone().filter(|_| !body.is_empty()) else { return body.into() };
        let chunks = futures::stream::unfold((body, pace), |(mut rest, pace)| async move {
            if rest.is_empty() {
                return None;
            }
            let chunk = rest.split_to(rest.len().min(PACED_BYTES));
            pace.take(chunk.len() as u64).await;
            Some((Ok::<_, std::io::Error>(chunk), (rest, pace)))
        });
        reqwest::Body::wrap_stream(chunks)
    }

    /// Reads an answer to its end, if it comes fast enough.
    #[expect(clippy::disallowed_methods, reason = "a server that is too slow is told by the clock")]
    async fn whole(&self, answer: reqwest::Response, expected: u64) -> Result<Bytes, Failure> {
        let started = Instant::now();
        let mut chunks = answer.bytes_stream();
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        loop {
            let next = match tokio::time::timeout(self.patience.stall, chunks.next()).await {
                Ok(None) => break,
                Ok(Some(chunk)) => chunk.map_err(|e| network_failure(&e))?,
                Err(_) => return Err(Failure::Network("the server stopped in the middle of its answer".into())),
            };
            self.traffic.bytes_received(next.len() as u64);
            if let Some(pace) = &self.pace {
                pace.take(next.len() as u64).await;
            } else if started.elapsed() > self.patience.for_bytes((all.len() + first.len()) as u64) {
                return Err(Failure::Network("the server answers too slowly to wait for it".into()));
            }
            if first.is_empty() && all.is_empty() {
                first = next;
                continue;
            }
            if all.is_empty() {
                all.reserve((expected as usize).min(ANSWER_BYTES));
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            if all.len() + next.len() > ANSWER_BYTES {
                return Err(Failure::Never("its answer is longer than any that it should give".into()));
            }
            all.extend_from_slice(&next);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

/// What a request is counted as. S3 and Azure list with GET and parameters; WebDAV with PROPFIND.
fn kind(method: &Method, url: &reqwest::Url) -> Kind {
    let lists = || url.query_pairs().any(|(key, _)| matches!(&*key, "list-type" | "comp" | "versions" | "uploads" | "prefix"));
    match *method {
        Method::GET if lists() => Kind::List,
        Method::GET | Method::HEAD => Kind::Read,
        Method::DELETE => Kind::Delete,
        _ if method.as_str() == "PROPFIND" => Kind::List,
        _ => Kind::Write,
    }
}

fn refusal(status: StatusCode, headers: &header::HeaderMap, body: &[u8]) -> Refusal {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let start = String::from_utf8_lossy(&body[..body.len().min(8192)]);
    let (reason, said) = json_error(&body[..body.len().min(8192)]).unzip();
    let code = text("x-ms-error-code").map(str::to_owned).or_else(|| element(&start, "Code")).or(reason).unwrap_or_default();
    let date = text("date").and_then(|at| jiff::fmt::rfc2822::parse(at).ok());
    let ahead = text("date").and_then(clock_ahead);
    Refusal {
        status: status.as_u16(),
        code: one_line(&code),
        message: element(&start, "Message").or(said).map(|m| one_line(&m)).unwrap_or_default(),
        retry_after: text("retry-after").and_then(|after| retry_after(after, date.as_ref())),
        location: text("location").map(str::to_owned),
        clock_ahead: ahead,
    }
}

/// The server's clock minus ours, in seconds, from what it says its clock shows.
#[expect(clippy::disallowed_methods, reason = "the clock is what is compared")]
fn clock_ahead(date: &str) -> Option<i64> {
    let server = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(server.timestamp().as_second() - jiff::Timestamp::now().as_second())
}

/// Seconds, or a date, which counts from the server's own (RFC 9110, 10.2.3).
fn retry_after(text: &str, server: Option<&jiff::Zoned>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    let seconds = at.timestamp().as_second() - server?.timestamp().as_second();
    Some(Duration::from_secs(seconds.max(0) as u64))
}

/// The reason and the message of an error of Google's JSON API.
fn json_error(body: &[u8]) -> Option<(String, String)> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let of = |value: &serde_json::Value, name: &str| value.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let error = body.get("error")?;
    Some((error.get("errors").and_then(|all| all.get(0)).map(|first| of(first, "reason")).unwrap_or_default(), of(error, "message")))
}

/// The text of the first element of a name. The errors of the clouds are flat, and nothing but a message hangs on it.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0.to_owned())
}

fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS).collect()
}

/// An error and its causes, without the URL, which may hold a signature.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let line = error.to_string();
        if !text.contains(&line) {
            text.push(line);
        }
        next = error.source();
    }
    one_line(&text.join(": "))
}

fn network_failure(error: &reqwest::Error) -> Failure {
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    let mut causes = Vec::new();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let all = causes.join(": ");
    let last = one_line(causes.last().map_or("the connection failed", String::as_str));
    if all.contains("at which clouds keep credentials") {
        return Failure::Never(last);
    }
    if all.contains("certificate") {
        return Failure::Never(format!(
            "its certificate is not trusted ({last}): give the certificate it is signed with as `certificate`, or correct its address"
        ));
    }
    if all.contains("InvalidContentType") || all.contains("corrupt message") {
        return Failure::Never("it does not speak TLS: give its address with http:// if that is meant, or correct the port".into());
    }
    if all.contains("tls handshake eof") {
        return Failure::Network(
            "the TLS handshake broke off: it is restarting, or it does not speak TLS and needs its address with http://".into(),
        );
    }
    if error.is_connect() {
        return Failure::Network(format!("it cannot be reached ({last}): check its address and the network"));
    }
    Failure::Network(format!("the connection broke off ({last})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_told_in_a_line() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>Slow\nDown</Code><Message>Please  reduce\x07 your\nrate</Message></Error>";
        let mut headers = header::HeaderMap::new();
        headers.insert("retry-after", header::HeaderValue::from_static("Sun, 06 Nov 1994 08:50:07 GMT"));
        headers.insert("date", header::HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        let found = refusal(StatusCode::SERVICE_UNAVAILABLE, &headers, body);
        assert_eq!((found.code.as_str(), found.message.as_str()), ("Slow Down", "Please reduce your rate"));
        assert_eq!(found.retry_after, Some(Duration::from_secs(30)));
        assert!(found.is_transient());
    }
}
