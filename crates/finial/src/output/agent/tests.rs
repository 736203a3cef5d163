//! The printers of the agent's results against what SPIRE printed.

use super::debug::print_info;
use super::jwt::print_valid;
use super::x509::{FetchedSvid, print_fetched};
use crate::output::json::{print_values, read_recorded, to_value};
use crate::output::recorded::{Printed, message, printed, recorded};
use crate::output::{Terminal, agent};
use finial_identity::x509::Certificate;
use finial_identity::{KeyType, PrivateKey};
use finial_proto::agent::debug::GetInfoResponse;
use finial_proto::workload::{
    JwtBundlesResponse, JwtsvidResponse, ValidateJwtsvidResponse, X509svidResponse,
};
use finial_runtime::config::duration::GoDuration;
use std::sync::Arc;

#[test]
fn info() {
    let info: GetInfoResponse = message("spire-agent debug getinfo -output json");
    // The two records are a moment apart.
    let Printed { out, .. } = printed(|terminal| print_info(&mut terminal.out, &info));
    let expected = recorded("spire-agent debug getinfo").out;
    let without_uptime =
        |text: &str| text.lines().filter(|line| !line.contains("Uptime")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_uptime(&out), without_uptime(&expected));
    let never = printed(|t| print_info(&mut t.out, &GetInfoResponse::default())).out;
    assert!(
        never.contains("  Uptime:                          0s\n  Last Sync Success:               (never)\n")
    );
}

#[test]
fn x509_svids() {
    let response: X509svidResponse = message("spire-agent api fetch x509 -output json");
    let chain = |der: &[u8]| Certificate::chain_from_der(der).unwrap();
    let federated: Arc<_> =
        Arc::new(response.federated_bundles.iter().map(|(id, der)| (id.clone(), chain(der))).collect());
    let svid = |svid: &finial_proto::workload::X509svid| FetchedSvid {
        spiffe_id: svid.spiffe_id.clone(),
        hint: svid.hint.clone(),
        chain: chain(&svid.x509_svid),
        key: PrivateKey::generate(KeyType::EcP256).unwrap(),
        bundle: chain(&svid.bundle),
        federated: Arc::clone(&federated),
    };
    let svids: Vec<_> = response.svids.iter().map(svid).collect();
    let after = GoDuration::from_nanos(4_019_890);
    let got = printed(|terminal| print_fetched(&mut terminal.out, &svids, after));
    assert_eq!(got, recorded("spire-agent api fetch x509"));
}

#[test]
fn jwt_svids() {
    let text = recorded("spire-agent api fetch jwt -audience aud1 -output json").out;
    let parts: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let svids: JwtsvidResponse = read_recorded(&parts[0].to_string());
    let bundles: JwtBundlesResponse = read_recorded(&parts[1].to_string());

    let mut terminal = Terminal::captured();
    print_values(&mut terminal.out, &[to_value(&svids).unwrap(), to_value(&bundles).unwrap()]).unwrap();
    assert_eq!(terminal.out.text(), text);

    let got = printed(|terminal| agent::jwt::print_fetched(&mut terminal.out, &svids, &bundles));
    assert_eq!(got, recorded("spire-agent api fetch jwt -audience aud1"));
}

#[test]
fn claims() {
    let response: ValidateJwtsvidResponse =
        message("spire-agent api validate jwt -audience aud1 -output json");
    let got = printed(|terminal| print_valid(&mut terminal.out, &response));
    assert_eq!(got, recorded("spire-agent api validate jwt -audience aud1 -svid"));
}
