//! Database addresses written as one line: `mysql://user:password@host:3306/name?unix_socket=/path`. RFC 3986,
//! section 3, as PHP's `parse_url` cuts it.

/// The parts, still percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Vec<u8>,
    pub(crate) user: Option<Vec<u8>>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) host: Option<Vec<u8>>,
    pub(crate) port: Option<u16>,
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) query: Option<Vec<u8>>,
}

impl Url {
    /// Cuts an address with a scheme and an authority into its parts.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let at = bytes.windows(3).position(|window| window == b"://")?;
        let (scheme, rest) = (&bytes[..at], &bytes[at + 3..]);
        let rest = rest.split(|byte| *byte == b'#').next().unwrap_or_default();
        let (rest, query) = split_once(rest, b'?');
        let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        let (userinfo, address) = match authority.iter().rposition(|byte| *byte == b'@') {
            Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
            None => (None, authority),
        };
        let (user, password) = userinfo.map_or((None, None), |info| {
            let (user, password) = split_once(info, b':');
            (Some(user.to_vec()), password.map(<[u8]>::to_vec))
        });
        let (host, port) = host_and_port(address)?;
        let filled = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            user,
            password,
            host: filled(host),
            port,
            path: filled(path),
            query: query.map(<[u8]>::to_vec),
        })
    }

    /// One decoded value of the query.
    pub(crate) fn option(&self, name: &str) -> Option<Vec<u8>> {
        self.query.as_deref()?.split(|byte| *byte == b'&').find_map(|pair| {
            let (key, value) = split_once(pair, b'=');
            (key == name.as_bytes()).then(|| percent_decoded(value.unwrap_or_default()))
        })
    }
}

fn host_and_port(address: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let colon = match address.iter().rposition(|byte| *byte == b']') {
        Some(close) => address[close..].iter().position(|byte| *byte == b':').map(|at| close + at),
        None => address.iter().rposition(|byte| *byte == b':'),
    };
    let Some(colon) = colon else { return Some((address, None)) };
    let port = std::str::from_utf8(&address[colon + 1..]).ok()?;
    Some((&address[..colon], if port.is_empty() { None } else { Some(port.parse().ok()?) }))
}

fn split_once(bytes: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|byte| *byte == at) {
        Some(position) => (&bytes[..position], Some(&bytes[position + 1..])),
        None => (bytes, None),
    }
}

/// Replaces `%` and two hexadecimal digits by their byte; a `+` stays.
pub(crate) fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_address() {
        let url = Url::parse(b"mysql://us%40er:p%23w%2F@127.0.0.1:3307/shop?unix_socket=/run/x.sock&a=b%20c")
            .unwrap();
        assert_eq!(percent_decoded(url.user.as_deref().unwrap()), b"us@er");
        assert_eq!(percent_decoded(url.password.as_deref().unwrap()), b"p#w/");
        assert_eq!((url.host.as_deref(), url.port), (Some(&b"127.0.0.1"[..]), Some(3307)));
        assert_eq!(url.path.as_deref(), Some(&b"/shop"[..]));
        assert_eq!(url.option("unix_socket").as_deref(), Some(&b"/run/x.sock"[..]));
        assert_eq!(url.option("a").as_deref(), Some(&b"b c"[..]));
        let six = Url::parse(b"mysql://u@[::1]:3307/db").unwrap();
        assert_eq!((six.host.as_deref(), six.port), (Some(&b"[::1]"[..]), Some(3307)));
        assert_eq!(Url::parse(b"just text"), None);
        assert_eq!(Url::parse(b"mysql://h:99999/x"), None);
        assert_eq!(percent_decoded(b"100%+%4"), b"100%+%4");
    }
}
