//! `x509 mint` and `jwt mint`.

use super::server_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect::{self, MESSAGE_MAX};
use crate::cli::input::{MODE_PRIVATE, MODE_PUBLIC, clean_path, join_path, parse_id, write_file};
use crate::flags::{Flag, Kind, Values, list, text};
use crate::output::go_text::quoted;
use crate::output::server::svid::{MintedX509, print_minted};
use crate::output::{Fault, Format, Terminal, go_time, json};
use finial_identity::jwt::JwtSvid;
use finial_identity::x509::{CsrRequest, DistinguishedName, build_csr};
use finial_identity::{KeyType, PrivateKey, SpiffeId};
use finial_proto::server::bundle::GetBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::svid::svid_client::SvidClient;
use finial_proto::server::svid::{MintJwtsvidRequest, MintX509svidRequest};
use finial_runtime::config::duration::GoDuration;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::transport::Channel;

pub(super) static X509: Command = server_command!(
    "x509 mint",
    "Mints an X509-SVID",
    "Signs an X509-SVID by hand, with a new key that the command makes and the server never sees, \
     for something that cannot talk to an agent. Nobody renews it. A lifetime longer than the \
     authority's is cut, and a warning says so.",
    &[
        list("dns", "DNS name that will be included in SVID. Can be used more than once."),
        text("spiffeID", "SPIFFE ID of the X509-SVID"),
        Flag { name: "ttl", kind: Kind::Duration(0), help: "TTL of the X509-SVID" },
        text("write", "Directory to write output to instead of stdout"),
    ],
    mint_x509,
    [(
        "x509 mint -spiffeID spiffe://example.org/legacy -ttl 24h -write /etc/legacy",
        "svid.pem, key.pem and bundle.pem for something that cannot talk to an agent"
    )]
);
pub(super) static JWT: Command = server_command!(
    "jwt mint",
    "Mints a JWT-SVID",
    "Signs a JWT-SVID by hand for one or more audiences, and prints the token alone, so that a \
     script can use it as it is.",
    &[
        list("audience", "Audience claim that will be included in the SVID. Can be used more than once."),
        text("spiffeID", "SPIFFE ID of the JWT-SVID"),
        Flag { name: "ttl", kind: Kind::Duration(0), help: "TTL of the JWT-SVID" },
        text("write", "File to write token to instead of stdout"),
    ],
    mint_jwt,
    [("jwt mint -spiffeID spiffe://example.org/ci -audience vault", "a token by hand")]
);

async fn mint_x509(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let channel = connect::to_server(flags)?;
    let id = wanted_id(flags)?;
    let ttl = whole_seconds(flags.duration("ttl"))?;
    let key = PrivateKey::generate(KeyType::EcP256)
        .map_err(|error| Fault::new(format!("unable to generate key: {error}")))?;
    let subject = DistinguishedName::empty();
    let request = CsrRequest { subject, spiffe_id: Some(&id), dns_names: flags.list("dns") };
    let csr =
        build_csr(&key, &request).map_err(|error| Fault::new(format!("unable to generate CSR: {error}")))?;
    let svid = SvidClient::new(channel.clone())
        .max_decoding_message_size(MESSAGE_MAX)
        .mint_x509svid(MintX509svidRequest { csr: csr.into(), ttl })
        .await
        .map_err(|status| Fault::of_call_while("unable to mint SVID", &status))?
        .into_inner()
        .svid
        .unwrap_or_default();
    if svid.cert_chain.is_empty() {
        return Err(Fault::new("server response missing SVID chain"));
    }
    let roots = fetch_roots(channel).await?;
    warn_if_capped(terminal, "X509-SVID", svid.expires_at, flags.duration("ttl"))?;
    let minted = MintedX509 { chain: svid.cert_chain, key, roots };
    match (flags.some_text("write"), flags.format()) {
        (Some(folder), _) => write_x509(terminal, folder, &minted),
        (None, Format::Json) => Ok(writeln!(terminal.out, "{}", minted.to_json())?),
        (None, Format::Pretty) => print_minted(&mut terminal.out, &minted),
    }
}

async fn fetch_roots(channel: Channel) -> Result<Vec<bytes::Bytes>, Fault> {
    let bundle = BundleClient::new(channel)
        .max_decoding_message_size(MESSAGE_MAX)
        .get_bundle(GetBundleRequest { output_mask: None })
        .await
        .map_err(|status| Fault::of_call_while("unable to get bundle", &status))?
        .into_inner();
    if bundle.x509_authorities.is_empty() {
        return Err(Fault::new("server response missing X509 Authorities"));
    }
    Ok(bundle.x509_authorities.into_iter().map(|authority| authority.asn1).collect())
}

fn write_x509(terminal: &mut Terminal, folder: &str, minted: &MintedX509) -> Result<(), Fault> {
    let files = [
        ("svid.pem", minted.chain_pem(), MODE_PUBLIC, "unable to write SVID", "X509-SVID"),
        ("key.pem", minted.key_pem(), MODE_PRIVATE, "unable to write key", "Private key"),
        ("bundle.pem", minted.roots_pem(), MODE_PUBLIC, "unable to write bundle", "Root CAs"),
    ];
    for (name, pem, mode, doing, what) in files {
        let path = join_path(folder, name);
        write_file(&path, pem.as_bytes(), mode).map_err(|fault| fault.after(doing))?;
        writeln!(terminal.out, "{what} written to {path}")?;
    }
    Ok(())
}

async fn mint_jwt(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let channel = connect::to_server(flags)?;
    if flags.some_text("spiffeID").is_none() {
        return Err(Fault::new("spiffeID must be specified"));
    }
    if flags.list("audience").is_empty() {
        return Err(Fault::new("at least one audience must be specified"));
    }
    let request = MintJwtsvidRequest {
        id: Some(parse_id(flags.text("spiffeID"))?),
        audience: flags.list("audience").to_vec(),
        ttl: whole_seconds(flags.duration("ttl"))?,
    };
    let response = SvidClient::new(channel)
        .mint_jwtsvid(request)
        .await
        .map_err(|status| Fault::of_call_while("unable to mint SVID", &status))?
        .into_inner();
    let token = response.svid.as_ref().map(|svid| svid.token.as_str()).unwrap_or_default();
    if token.is_empty() {
        return Err(Fault::new("server response missing token"));
    }
    match JwtSvid::parse_unverified(token) {
        Ok(svid) => {
            warn_if_capped(terminal, "JWT-SVID", svid.expires_at.seconds(), flags.duration("ttl"))?;
        }
        Err(error) => writeln!(terminal.err, "Unable to determine JWT-SVID lifetime: {error}")?,
    }
    match (flags.some_text("write"), flags.format()) {
        (Some(path), _) => {
            let path = clean_path(path);
            write_file(&path, token.as_bytes(), MODE_PRIVATE)
                .map_err(|fault| fault.after("unable to write token"))?;
            Ok(writeln!(terminal.out, "JWT-SVID written to {path}")?)
        }
        (None, Format::Json) => Ok(json::print(&mut terminal.out, &response)?),
        (None, Format::Pretty) => Ok(writeln!(terminal.out, "{token}")?),
    }
}

fn wanted_id(flags: &Values) -> Result<SpiffeId, Fault> {
    let text = flags.some_text("spiffeID").ok_or_else(|| Fault::new("spiffeID must be specified"))?;
    Ok(SpiffeId::parse(text)?)
}

/// Rounded up; Go's integer division makes this less than nothing for what is less than nothing.
fn whole_seconds(ttl: GoDuration) -> Result<i32, Fault> {
    const SECOND: i64 = 1_000_000_000;
    let seconds = ttl.as_nanos().wrapping_add(SECOND - 1) / SECOND;
    i32::try_from(seconds).map_err(|_| {
        Fault::new(format!(
            "invalid value for TTL: overflow converting time.Duration({}) to int32",
            GoDuration::from_nanos(seconds)
        ))
    })
}

fn warn_if_capped(
    terminal: &mut Terminal,
    what: &str,
    expires_at: i64,
    asked: GoDuration,
) -> Result<(), Fault> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = i128::from(expires_at) * 1_000_000_000 - i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
    if left < i128::from(asked.as_nanos()) {
        let moment = quoted(&go_time::rfc3339(expires_at));
        writeln!(terminal.err, "{what} lifetime was capped shorter than specified ttl; expires {moment}")?;
    }
    Ok(())
}
