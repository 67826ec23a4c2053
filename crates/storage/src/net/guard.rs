//! Where no request may go.
//!
//! A server on the local network is a normal place for backups. The addresses at which clouds give their machines credentials are not,
//! and nothing else lives on link-local addresses that a backup should talk to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Names that clouds give their metadata services, beside the addresses.
const METADATA_NAMES: [&str; 4] = ["metadata.google.internal", "metadata", "instance-data", "metadata.azure.internal"];

/// Metadata services outside the link-local ranges: Alibaba, Oracle's old one, Azure's WireServer, and AWS over IPv6.
const METADATA_V4: [Ipv4Addr; 3] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: [Ipv6Addr; 2] = [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

fn is_forbidden(address: IpAddr) -> bool {
    let v4 = |address: Ipv4Addr| address.is_link_local() || address.is_broadcast() || METADATA_V4.contains(&address);
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            // ::ffff:a.b.c.d, ::a.b.c.d and the NAT64 prefix 64:ff9b:: carry an IPv4 address.
            let carried = [a, b, c, d, e] == [0; 5] && (f == 0xffff || f == 0) || [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
            let inner = Ipv4Addr::from(u32::from(g) << 16 | u32::from(h));
            a & 0xffc0 == 0xfe80 || METADATA_V6.contains(&address) || carried && v4(inner)
        }
    }
}

/// Checks the host of a URL before a request is made.
///
/// # Errors
/// A sentence, when it is an address or a name where no backup belongs.
pub(crate) fn check_host(url: &reqwest::Url) -> Result<(), String> {
    let Some(host) = url.host_str() else { return Err("its URL names no host".into()) };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    let forbidden = bare.parse().is_ok_and(is_forbidden) || METADATA_NAMES.contains(&name.as_str());
    if forbidden { Err(forbidden_sentence(host)) } else { Ok(()) }
}

fn forbidden_sentence(host: &str) -> String {
    format!("`{host}` is an address at which clouds keep credentials, not objects: give the address of the object store")
}

/// Resolves names as the system does, and gives no forbidden address on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            match found.iter().find(|address| is_forbidden(address.ip())) {
                Some(_) => Err(forbidden_sentence(name.as_str()).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_refused_however_they_are_written() {
        for bad in [
            "http://169.254.169.254/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0251.0376.0251.0376/",
            "http://169.254.170.2/v2/credentials",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fd00:ec2::254]/",
            "http://[fe80::1]/",
            "http://100.100.100.200/",
            "http://metadata.google.internal./computeMetadata",
            "http://Metadata/",
        ] {
            let url: reqwest::Url = bad.parse().expect("a URL");
            assert!(check_host(&url).is_err(), "{bad}");
        }
        for good in [
            "http://192.168.1.10:9000/",
            "http://10.0.0.1/",
            "http://localhost/",
            "http://[::1]/",
            "https://s3.eu-central-1.amazonaws.com/",
        ] {
            assert_eq!(check_host(&good.parse().expect("a URL")), Ok(()), "{good}");
        }
    }
}
