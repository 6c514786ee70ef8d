//! Where redirects lead.

use ravelin_config::feed::FeedUrl;

/// The URL that the header `Location` of an answer from `base` means.
pub(super) fn join(base: &FeedUrl, location: &str) -> Option<FeedUrl> {
    let location = location.split('#').next().unwrap_or_default();
    let (origin, path) = split(base.reveal())?;
    let directory =
        |path: &str| path.rsplit_once('/').map_or("/".to_owned(), |(before, _)| format!("{before}/"));
    let joined = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{}:{location}", origin.split("://").next()?)
    } else if location.starts_with('/') {
        format!("{origin}{location}")
    } else if location.starts_with('?') {
        format!("{origin}{path}{location}")
    } else {
        format!("{origin}{}{location}", directory(path))
    };
    joined.parse().ok()
}

/// Whether two URLs lead to the same server: then it may see what the other may.
pub(super) fn same_server(a: &FeedUrl, b: &FeedUrl) -> bool {
    let server = |url: &FeedUrl| {
        let (origin, _) = split(url.reveal())?;
        let (scheme, authority) = origin.split_once("://")?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let port = if url.is_https() { ":443" } else { ":80" };
        let host = host.strip_suffix(port).unwrap_or(host);
        Some((scheme.to_ascii_lowercase(), host.to_ascii_lowercase()))
    };
    server(a).is_some_and(|server_of_a| Some(server_of_a) == server(b))
}

/// Scheme and authority of a URL, with the secrets that it may have, and its path.
fn split(url: &str) -> Option<(&str, &str)> {
    let start = url.find("://")? + "://".len();
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    let (origin, rest) = url.split_at(end);
    let path = rest.split(['?', '#']).next().filter(|path| !path.is_empty()).unwrap_or("/");
    Some((origin, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_relative_to_where_they_come_from() {
        for (base, location, expected) in [
            ("https://a.example/x/y?k=v", "https://b.example/z", "https://b.example/z"),
            ("https://a.example/x/y", "//b.example/z", "https://b.example/z"),
            ("https://a.example:8443/x/y", "/z?q", "https://a.example:8443/z?q"),
            ("https://a.example/x/y?k=v", "z", "https://a.example/x/z"),
            ("https://a.example", "z", "https://a.example/z"),
            ("https://a.example?k", "z#part", "https://a.example/z"),
            ("https://a.example/x?k", "?l", "https://a.example/x?l"),
            ("https://u:p@a.example/x", "/z", "https://u:p@a.example/z"),
        ] {
            let joined = join(&base.parse().unwrap(), location).unwrap();
            assert_eq!(joined.reveal(), expected, "{base} {location}");
        }
        for location in
            ["file:///etc/passwd", "https://", "ftp://a.example/", "/a b", "https://a.example:0/", "//"]
        {
            assert_eq!(join(&"https://a.example/".parse().unwrap(), location), None, "{location}");
        }
    }

    #[test]
    fn a_server_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| same_server(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://a.example/x", "HTTPS://me@A.EXAMPLE:443?y"));
        assert!(same("http://a.example:80/", "http://a.example"));
        assert!(!same("https://a.example", "http://a.example"));
        assert!(!same("https://a.example", "https://a.example:8443"));
        assert!(!same("https://a.example", "https://b.a.example"));
        assert!(!same("http://a.example:443", "https://a.example"));
    }
}
