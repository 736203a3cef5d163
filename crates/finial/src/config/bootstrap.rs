//! How an agent comes to trust its server the first time: exactly one way.

use super::flags::AgentFlags;
use super::reader::{Flag, Reader, Setting};
use super::trust_bundle::{BundleFile, BundleUrl, Format, Visit};
use finial_agent::config::{Bootstrap, RebootstrapMode};
use finial_identity::TrustDomain;
use http::Uri;
use std::path::Path;
use std::sync::Arc;

/// What is known when the agent asks for its first bundle.
pub(super) struct FirstContact<'a> {
    /// Nothing if it is wrong.
    pub(super) trust_domain: Option<&'a TrustDomain>,
    /// Host and port of the server, as the operator wrote them.
    pub(super) server: (&'a str, i64),
    /// Where the agent remembers whether it was here before.
    pub(super) data_dir: &'a Path,
    /// What happens when trust is lost; nothing if it is wrong.
    pub(super) rebootstrap: Option<RebootstrapMode>,
}

/// Reads `rebootstrap_mode`; nothing if it is wrong.
pub(super) fn read_rebootstrap(section: &mut Reader<'_>, flags: &AgentFlags) -> Option<RebootstrapMode> {
    let mode =
        section.text("rebootstrap_mode", Flag::new("rebootstrapMode", &flags.rebootstrap_mode), "never");
    match mode.value.as_str() {
        "never" => Some(RebootstrapMode::Never),
        "auto" => Some(RebootstrapMode::Auto),
        "always" => Some(RebootstrapMode::Always),
        other => {
            section.problem(&mode, format!("unknown rebootstrap mode specified: {other}"));
            None
        }
    }
}

/// The keys that each are a way of their own.
struct Ways {
    path: Setting<String>,
    url: Setting<String>,
    workload_api: Setting<String>,
    is_insecure: bool,
}

/// Reads `trust_bundle_…` and `insecure_bootstrap`; nothing if they are wrong.
pub(super) fn read(
    section: &mut Reader<'_>,
    flags: &AgentFlags,
    first: &FirstContact<'_>,
) -> Option<Bootstrap> {
    let ways = Ways {
        path: section.text("trust_bundle_path", Flag::new("trustBundle", &flags.trust_bundle), ""),
        url: section.text("trust_bundle_url", Flag::new("trustBundleUrl", &flags.trust_bundle_url), ""),
        workload_api: section.text("trust_bundle_spiffe_workload_api", Flag::NONE, ""),
        is_insecure: section.is_set("insecure_bootstrap", flags.insecure_bootstrap),
    };
    let format = read_format(section, flags);
    let socket = section.text("trust_bundle_unix_socket", Flag::NONE, "");
    let is_one = check_ways(section, &ways);
    check_socket(section, &ways, &socket);
    let url = if ways.url.value.is_empty() { None } else { read_url(section, &ways.url, &socket.value) };
    if ways.is_insecure && first.rebootstrap.is_some_and(|mode| mode != RebootstrapMode::Never) {
        section.problem_at(
            "insecure_bootstrap",
            "insecure_bootstrap option can not be used with rebootstrapping",
        );
    }
    if !is_one {
        return None;
    }
    if ways.is_insecure {
        section.warn_at(
            "insecure_bootstrap",
            "the agent will believe the first server that answers; use this for trying things out only",
        );
        return Some(Bootstrap::Insecure);
    }
    let (trust_domain, format) = (first.trust_domain?.clone(), format?);
    if !ways.path.value.is_empty() {
        return Some(Bootstrap::Fetched(Arc::new(BundleFile::new(
            ways.path.value.into(),
            format,
            trust_domain,
        ))));
    }
    let url = url?;
    Some(Bootstrap::Fetched(Arc::new(if socket.value.is_empty() {
        BundleUrl::over_tls(url, format, trust_domain)
    } else {
        let (server, port) = (first.server.0.to_owned(), first.server.1);
        let is_known_here = first.data_dir.join("agent-data.json").exists();
        BundleUrl::over_unix(
            url,
            socket.value.into(),
            Visit { server, port, is_known_here },
            format,
            trust_domain,
        )
    })))
}

fn read_format(section: &mut Reader<'_>, flags: &AgentFlags) -> Option<Format> {
    let flag = Flag::new("trustBundleFormat", &flags.trust_bundle_format);
    let format = section.text("trust_bundle_format", flag, "pem");
    match format.value.as_str() {
        "pem" => Some(Format::Pem),
        "spiffe" => Some(Format::Spiffe),
        _ => {
            section.problem(&format, r#"invalid value for trust_bundle_format, expected "pem" or "spiffe""#);
            None
        }
    }
}

/// Complains about each pair that excludes each other, and about none at all. Whether there is exactly one
/// way.
fn check_ways(section: &Reader<'_>, ways: &Ways) -> bool {
    let insecure = if ways.is_insecure { "true" } else { "" };
    let given: Vec<&str> = [
        ("insecure_bootstrap", insecure),
        ("trust_bundle_url", &ways.url.value),
        ("trust_bundle_path", &ways.path.value),
        ("trust_bundle_spiffe_workload_api", &ways.workload_api.value),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(key, _)| key)
    .collect();
    match given.as_slice() {
        [] => section.problem_here(
            "trust_bundle_path, trust_bundle_url, or trust_bundle_spiffe_workload_api must be configured unless \
             insecure_bootstrap is set",
        ),
        ["trust_bundle_spiffe_workload_api"] => section.problem(
            &ways.workload_api,
            "fetching the bundle from a Workload API is not available in this version; use trust_bundle_path or \
             trust_bundle_url",
        ),
        [_] => return true,
        ["insecure_bootstrap", "trust_bundle_url", "trust_bundle_path", ..] => section.problem_at(
            "insecure_bootstrap",
            "only one of insecure_bootstrap, trust_bundle_url, or trust_bundle_path can be specified, not the three \
             options",
        ),
        [one, others @ ..] => {
            for other in others {
                section.problem_at(other, format!("only one of {one} or {other} can be specified, not both"));
            }
        }
    }
    false
}

fn check_socket(section: &Reader<'_>, ways: &Ways, socket: &Setting<String>) {
    if socket.value.is_empty() {
        return;
    }
    if ways.url.value.is_empty() {
        section.problem(socket, "if trust_bundle_unix_socket is specified, so must be trust_bundle_url");
    }
    if !ways.workload_api.value.is_empty() {
        section.problem(
            socket,
            "trust_bundle_unix_socket can not be used with trust_bundle_spiffe_workload_api",
        );
    }
}

fn read_url(section: &Reader<'_>, url: &Setting<String>, socket: &str) -> Option<Uri> {
    let parsed: Uri = section.parsed(url, "unable to parse trust bundle URL", str::parse)?;
    let scheme = parsed.scheme_str().unwrap_or_default();
    let complain = |message: &str| section.problem(url, message);
    match socket {
        "" if scheme != "https" => complain("trust bundle URL must start with https://"),
        "" => return Some(parsed),
        _ if scheme != "http" => {
            complain("trust bundle URL must start with http:// when used with trust bundle unix socket");
        }
        _ => {
            let names = parsed.query().unwrap_or_default().split('&');
            let reserved =
                ["spiffe-", "spire-"].into_iter().find(|prefix| names.clone().any(|n| n.starts_with(prefix)));
            match reserved {
                Some(prefix) => {
                    complain(&format!("trust_bundle_url query params can not start with {prefix}"))
                }
                None => return Some(parsed),
            }
        }
    }
    None
}
