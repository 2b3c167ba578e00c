//! What every request must show and every answer carries.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::Refusal;

/// Longest path and query, bytes: an id and a language need far less.
const TARGET_BYTES_MAX: usize = 2_048;

/// Refuses what does not belong here, and marks every answer.
pub(crate) async fn guard(request: Request<Body>, next: Next) -> Response {
    let answer = match check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    marked(answer)
}

fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |status, error: &str, hint: &str| Err(Refusal::new(status, error, hint));
    let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
    let [host] = hosts[..] else {
        return refuse(StatusCode::BAD_REQUEST, "one Host header is needed", "use a browser or curl");
    };
    let is_own = |host: &str| is_loopback_name(host);
    if !host.to_str().is_ok_and(is_own) || uri.authority().is_some_and(|authority| !is_own(authority.as_str())) {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "this server answers to loopback names only",
            "open it as http://127.0.0.1 or http://localhost with its port",
        );
    }
    if let Some(origin) = headers.get(ORIGIN) {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        if !origin.is_some_and(is_own) {
            return refuse(StatusCode::FORBIDDEN, "asked by a page of another site", "open the address directly");
        }
    }
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > TARGET_BYTES_MAX) {
        return refuse(StatusCode::URI_TOO_LONG, "the address is too long", "see /api/v1/incidents for ids");
    }
    let is_empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
    if !is_empty || headers.contains_key(TRANSFER_ENCODING) {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here", "everything is read with GET");
    }
    Ok(())
}

/// `localhost` or a loopback address, with or without a port. Any other name could be an attacker's that points here.
fn is_loopback_name(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return is_port(port) && is_loopback_address(address);
    }
    let (name, port) = host.find(':').map_or((host, ""), |colon| host.split_at(colon));
    is_port(port) && (name.eq_ignore_ascii_case("localhost") || is_loopback_address(name))
}

fn is_loopback_address(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_port(port: &str) -> bool {
    port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok())
}

fn marked(mut answer: Response) -> Response {
    const ALWAYS: [(HeaderName, &str); 6] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let headers = answer.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The page has its own policy; everything else needs nothing at all.
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_ours() {
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:80", "127.9.9.9:1", "[::1]", "[::1]:65535"] {
            assert!(is_loopback_name(own), "{own}");
        }
        for foreign in [
            "",
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost@evil.example",
            "localhost:8080@evil.example",
            "192.0.2.1",
            "0.0.0.0",
            "[::]",
            "[::1",
            "::1",
            "localhost:99999",
            "localhost:80:80",
        ] {
            assert!(!is_loopback_name(foreign), "{foreign}");
        }
    }
}
