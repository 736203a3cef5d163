//! The section `server.federation`: whose bundles are fetched, and where our own is served.

use super::reader::{Flag, Labelled, Reader, Setting};
use super::{path, server};
use finial_identity::federation::{EndpointUrlError, REFRESH_HINT_MIN, check_endpoint_url};
use finial_identity::{BundleEndpointProfile, SpiffeId, TrustDomain};
use finial_server::federation::{
    BundleEndpointConfig, Endpoint, FederationConfig, ServedAs, ServingCertificateFiles,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);
const REFRESH_HINT: Duration = Duration::from_secs(5 * 60);
const WEB: &str = "https_web";
const SPIFFE: &str = "https_spiffe";
const KNOWN: &str = "current supported profiles are \"https_spiffe\" and \"https_web\"";
const NO_ACME: &str = "getting certificates by ACME is not available in this version; use serving_cert_file, with files \
     that an ACME client of your choice renews";

/// Reads the section of a server of this trust domain; nothing if something is wrong.
pub(super) fn read(server: &mut Reader<'_>, own: Option<&TrustDomain>) -> Option<FederationConfig> {
    let mut section = server.block("federation");
    let serves = section.has("bundle_endpoint");
    let bundle_endpoint = if serves { read_bundle_endpoint(&mut section) } else { None };
    let mut config = Some(FederationConfig { bundle_endpoint, ..FederationConfig::default() });
    if serves && config.as_ref().is_some_and(|config| config.bundle_endpoint.is_none()) {
        config = None;
    }
    for relationship in section.labelled("federates_with") {
        match (read_relationship(relationship, own), &mut config) {
            (Some((trust_domain, endpoint)), Some(config)) => {
                config.federates_with.insert(trust_domain, endpoint);
            }
            _ => config = None,
        }
    }
    section.finish_with_warnings();
    config
}

fn read_bundle_endpoint(federation: &mut Reader<'_>) -> Option<BundleEndpointConfig> {
    let mut endpoint = federation.block("bundle_endpoint");
    let bind = read_bind(&mut endpoint);
    let hint = endpoint.duration("refresh_hint", Flag::NONE, "refresh_hint {}");
    if hint.is_some_and(|hint| hint >= 24 * HOUR) {
        endpoint.warn_at(
            "refresh_hint",
            "Bundle endpoint refresh hint set to a high value. To cover the case of unscheduled trust bundle \
             updates, it's recommended to have a smaller value, e.g. 5m",
        );
    }
    if hint.is_some_and(|hint| hint < REFRESH_HINT_MIN) {
        endpoint.warn_at(
            "refresh_hint",
            "Bundle endpoint refresh hint set too low. SPIRE will not refresh more often than 1 minute",
        );
    }
    endpoint.refused(&["acme"], NO_ACME);
    let served_as = read_served_as(&mut endpoint);
    endpoint.finish("bundle endpoint");
    Some(BundleEndpointConfig {
        bind: bind?,
        refresh_hint: hint.unwrap_or(REFRESH_HINT),
        served_as: served_as?,
    })
}

/// Without an address it listens on all.
fn read_bind(endpoint: &mut Reader<'_>) -> Option<SocketAddr> {
    let address = endpoint.text("address", Flag::NONE, "");
    let ip = match address.value.trim_matches(['[', ']']) {
        "" => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        text => text.parse().ok(),
    };
    if ip.is_none() {
        endpoint.problem(&address, format!("{:?} is not an IP address", address.value));
    }
    let port = endpoint.number("port", None, 0);
    if port.value == 0 {
        endpoint.problem(&port, "port must be configured");
        return None;
    }
    let port = server::read_port(endpoint, &port);
    Some(SocketAddr::new(ip?, port?))
}

fn read_served_as(endpoint: &mut Reader<'_>) -> Option<ServedAs> {
    if !endpoint.has("profile") {
        endpoint.warn_at(
            "profile",
            "Bundle endpoint is configured but has no profile set, using https_spiffe as default; please configure a \
             profile explicitly. This will be fatal in a future release.",
        );
        return Some(ServedAs::Spiffe);
    }
    let Labelled { label, mut section, .. } = only_profile(endpoint, "profile")?;
    let served_as = match label {
        WEB => read_web(&mut section),
        SPIFFE => Some(ServedAs::Spiffe),
        _ => {
            section.problem_here(format!("unknown bundle endpoint profile configured; {KNOWN}"));
            return None;
        }
    };
    section.finish_with_warnings();
    served_as
}

/// The one block with a label that must be there.
fn only_profile<'d>(section: &mut Reader<'d>, key: &'static str) -> Option<Labelled<'d>> {
    let mut profiles = section.labelled(key);
    if profiles.len() != 1 {
        section.problem_at(key, "exactly one bundle endpoint profile is expected");
    }
    profiles.pop().filter(|_| profiles.is_empty())
}

fn read_web(web: &mut Reader<'_>) -> Option<ServedAs> {
    web.refused(&["acme"], NO_ACME);
    if !web.has("serving_cert_file") {
        if !web.has("acme") {
            let message =
                "malformed https_web profile configuration: 'acme' or 'serving_cert_file' is required";
            web.problem_here(message);
        }
        return None;
    }
    let mut files = web.block("serving_cert_file");
    let certificates = files.text("cert_file_path", Flag::NONE, "");
    let key = files.text("key_file_path", Flag::NONE, "");
    for (name, setting) in [("cert_file_path", &certificates), ("key_file_path", &key)] {
        if setting.value.is_empty() {
            files.problem(setting, format!("{name} must be configured"));
        }
    }
    let interval = files.duration("file_sync_interval", Flag::NONE, "file_sync_interval {}");
    files.finish_with_warnings();
    Some(ServedAs::Web(ServingCertificateFiles {
        certificates: path::absolute(&certificates.value),
        key: path::absolute(&key.value),
        sync_interval: interval.filter(|interval| !interval.is_zero()).unwrap_or(HOUR),
    }))
}

fn read_relationship(
    Labelled { label, at, mut section }: Labelled<'_>,
    own: Option<&TrustDomain>,
) -> Option<(TrustDomain, Endpoint)> {
    let trust_domain = TrustDomain::parse(label).map_err(|error| {
        section.problem_above(at, format!("could not parse trust domain {label:?}: {error}"));
    });
    let trust_domain = trust_domain.ok();
    if trust_domain.is_some() && trust_domain.as_ref() == own {
        section.problem_above(at, "a server does not federate with its own trust domain");
    }
    let url = section.text("bundle_endpoint_url", Flag::NONE, "");
    let url = read_url(&section, label, &url);
    let profile = read_profile(&mut section, label);
    section.finish_with_warnings();
    Some((trust_domain?, Endpoint { url: url?, profile: profile? }))
}

fn read_url(section: &Reader<'_>, label: &str, url: &Setting<String>) -> Option<String> {
    let key = format!("federation.federates_with[\"{label}\"].bundle_endpoint_url");
    let problem = match check_endpoint_url(&url.value) {
        Ok(url) => return Some(url),
        Err(_) if url.value.is_empty() => format!("{key} must be configured"),
        Err(EndpointUrlError::NotHttps) => {
            format!("{key} must use the HTTPS protocol; URL found: {:?}", url.value)
        }
        Err(error) => error.to_string(),
    };
    section.problem(url, problem);
    None
}

fn read_profile(section: &mut Reader<'_>, label: &str) -> Option<BundleEndpointProfile> {
    if !section.has("bundle_endpoint_profile") {
        let message = format!(
            "federation configuration for trust domain {label:?}: missing bundle endpoint configuration"
        );
        section.problem_at("bundle_endpoint_profile", message);
        return None;
    }
    let Labelled { label: name, section: mut profile, .. } =
        only_profile(section, "bundle_endpoint_profile")?;
    let read = match name {
        WEB => Some(BundleEndpointProfile::HttpsWeb),
        SPIFFE => {
            let id = profile.text("endpoint_spiffe_id", Flag::NONE, "");
            let id = profile.parsed(&id, "could not get endpoint SPIFFE ID", SpiffeId::parse);
            id.map(|endpoint_id| BundleEndpointProfile::HttpsSpiffe { endpoint_id })
        }
        _ => {
            profile.problem_here(format!("no bundle endpoint profile defined; {KNOWN}"));
            return None;
        }
    };
    profile.finish_with_warnings();
    read
}
