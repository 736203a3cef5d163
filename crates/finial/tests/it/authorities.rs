//! Operators change signing authorities, and everything that hangs on them follows.
//!
//! The names are those of SPIRE's own suites.

use crate::nested::Nest;
use crate::{EAGER, has_ids, own_uid, serving};
use anyhow::{Context, Result, ensure};
use finial_identity::jwt::JwtSvid;
use finial_identity::x509::verify_svid;
use finial_identity::{Bundle, UnixTime};
use finial_testkit::{AgentOptions, Deployment, Workload, X509Update, eventually};
use serde_json::Value;
use std::time::SystemTime;

const ID: &str = "spiffe://example.org/w";

/// What a command of the server prints as JSON.
pub(crate) async fn json(deployment: &Deployment, arguments: &[&str]) -> Result<Value> {
    let mut arguments = arguments.to_vec();
    arguments.extend(["-output", "json"]);
    let printed = deployment.server_command(&arguments).await?.ok()?;
    serde_json::from_str(&printed).with_context(|| printed.clone())
}

/// A text in it.
pub(crate) fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).with_context(|| format!("no {pointer} in {value}"))
}

/// The server's bundle as `bundle show` prints it.
pub(crate) async fn bundle(deployment: &Deployment) -> Result<Value> {
    json(deployment, &["bundle", "show"]).await
}

fn count(bundle: &Value, list: &str) -> usize {
    bundle[list].as_array().map_or(0, Vec::len)
}

/// A workload with an identity, of an agent that looks often.
async fn with_workload(deployment: &Deployment) -> Result<(finial_testkit::Process, Workload)> {
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (agent, parent) = deployment.start_agent("a", &options).await?;
    deployment.register(&parent, ID, &[&own_uid()], 600).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    Ok((agent, workload))
}

async fn token(workload: &Workload) -> Result<String> {
    let (_, token) = workload.jwt("somebody").await?.pop().context("no token")?;
    Ok(token)
}

fn key_id(token: &str) -> Result<String> {
    JwtSvid::parse_unverified(token)?.key_id.context("no kid")
}

#[tokio::test(flavor = "multi_thread")]
async fn force_rotation_jwt_authority() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let (mut agent, workload) = with_workload(&deployment).await?;
    let old = text(&json(&deployment, &["localauthority", "jwt", "show"]).await?, "/active/authority_id")?;
    let before = token(&workload).await?;
    ensure!(key_id(&before)? == old, "{before}");

    let prepared = json(&deployment, &["localauthority", "jwt", "prepare"]).await?;
    let new = text(&prepared, "/prepared_authority/authority_id")?;
    ensure!(count(&bundle(&deployment).await?, "jwt_authorities") == 2);
    let activate = ["localauthority", "jwt", "activate", "-authorityID", &new];
    ensure!(text(&json(&deployment, &activate).await?, "/activated_authority/authority_id")? == new);
    ensure!(token(&workload).await? == before, "a token lives half its life");

    let taint = ["localauthority", "jwt", "taint", "-authorityID", &old];
    let tainted = deployment.server_command(&taint).await?.ok()?;
    ensure!(
        tainted
            == format!(
                "Tainted JWT authority:\n  Authority ID: {old}\n  Expires at: 1970-01-01 00:00:00 +0000 UTC\n"
            ),
        "{tainted}"
    );
    deployment.server()?.line("JWT authority tainted successfully").await?;
    let gone = agent
        .line("JWT-SVIDs were removed from the JWT cache because they were issued by a tainted authority")
        .await?;
    ensure!(gone.contains("count_jwt_svids=1") && gone.contains(&old), "{gone}");
    let after = token(&workload).await?;
    ensure!(key_id(&after)? == new, "{after}");
    ensure!(workload.validate("somebody", &after).await? == ID);

    deployment.server_command(&["localauthority", "jwt", "revoke", "-authorityID", &old]).await?.ok()?;
    deployment.server()?.line("JWT authority revoked successfully").await?;
    eventually("one key in the workload's bundle", async || {
        let bundles = workload.jwt_bundles().await.ok()?;
        let jwks = bundles.values().next()?;
        (jwks.contains(&new) && !jwks.contains(&old)).then_some(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_jwt_authorities_where_jwt_is_switched_off() -> Result<()> {
    let deployment = serving("disable_jwt_svids = true", "").await?;
    for arguments in [
        &["localauthority", "jwt", "show"][..],
        &["localauthority", "jwt", "prepare"],
        &["localauthority", "jwt", "activate", "-authorityID", "x"],
        &["localauthority", "jwt", "taint", "-authorityID", "x"],
        &["localauthority", "jwt", "revoke", "-authorityID", "x"],
    ] {
        let outcome = deployment.server_command(arguments).await?;
        ensure!(outcome.ok().is_err_and(|e| e.to_string().contains("JWT functionality is disabled")));
    }
    Ok(())
}

/// The ID of the active X.509 authority.
pub(crate) async fn active_x509(deployment: &Deployment) -> Result<String> {
    text(&json(deployment, &["localauthority", "x509", "show"]).await?, "/active/authority_id")
}

/// Prepares and activates another X.509 authority, and gives its ID.
pub(crate) async fn change_x509(deployment: &Deployment) -> Result<String> {
    let prepared = json(deployment, &["localauthority", "x509", "prepare"]).await?;
    let new = text(&prepared, "/prepared_authority/authority_id")?;
    let activate = ["localauthority", "x509", "activate", "-authorityID", &new];
    deployment.server_command(&activate).await?.ok()?;
    Ok(new)
}

#[tokio::test(flavor = "multi_thread")]
async fn force_rotation_self_signed() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let (mut agent, workload) = with_workload(&deployment).await?;
    let old = active_x509(&deployment).await?;
    let new = change_x509(&deployment).await?;
    let shown = json(&deployment, &["localauthority", "x509", "show"]).await?;
    ensure!(text(&shown, "/active/authority_id")? == new && text(&shown, "/old/authority_id")? == old);
    ensure!(count(&bundle(&deployment).await?, "x509_authorities") == 2);
    ensure!(workload.x509().await?.svid(ID)?.issuer() == old, "nobody is forced yet");

    let revoke = ["localauthority", "x509", "revoke", "-authorityID", &old];
    let refused = deployment.server_command(&revoke).await?;
    ensure!(refused.ok().is_err(), "only what is tainted may be revoked");
    deployment.server_command(&["localauthority", "x509", "taint", "-authorityID", &old]).await?.ok()?;
    let server = deployment.server()?;
    server.line("X.509 authority tainted successfully").await?;
    server.line("Server SVID signed using a tainted authority, forcing rotation of the Server SVID").await?;
    ensure!(agent.line("New tainted X.509 authorities found").await?.contains(&old));
    let scheduled =
        agent.line("Scheduled rotation for SVID entries due to tainted X.509 authorities").await?;
    ensure!(scheduled.contains("count=1"), "{scheduled}");
    agent.line("Agent SVID is tainted by a root authority, forcing rotation").await?;
    agent.line("Successfully rotated agent SVID").await?;
    eventually("an SVID of the new authority", async || {
        let update = workload.x509().await.ok()?;
        (update.svid(ID).ok()?.issuer() == new).then_some(())
    })
    .await?;

    deployment.server_command(&revoke).await?.ok()?;
    deployment.server()?.line("X.509 authority revoked successfully").await?;
    eventually("one authority in the workload's bundle", async || {
        let bundles = workload.x509_bundles().await.ok()?;
        (bundles.values().copied().collect::<Vec<_>>() == [1]).then_some(())
    })
    .await?;
    ensure!(count(&bundle(&deployment).await?, "x509_authorities") == 1);
    deployment
        .register(&agent_id(&deployment).await?, "spiffe://example.org/later", &[&own_uid()], 60)
        .await?;
    has_ids(&workload, &[ID, "spiffe://example.org/later"]).await?;
    Ok(())
}

async fn agent_id(deployment: &Deployment) -> Result<String> {
    let agents = deployment.agents().await?;
    let id = agents.first().and_then(|agent| agent.id.clone()).context("no agent")?;
    Ok(format!("spiffe://{}{}", id.trust_domain, id.path))
}

/// Whether all SVIDs of an update verify with a bundle.
pub(crate) fn verify(update: &X509Update, bundle: &Bundle) -> Result<()> {
    for svid in &update.svids {
        verify_svid(&svid.chain, bundle.x509_authorities.iter(), UnixTime::from(SystemTime::now()))
            .with_context(|| format!("{} does not verify above", svid.id))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn force_rotation_self_signed_nested() -> Result<()> {
    let mut nest = Nest::start("").await?;
    let old = active_x509(&nest.root).await?;
    let new = change_x509(&nest.root).await?;
    for server in nest.servers() {
        eventually("both roots everywhere", async || {
            (count(&bundle(server).await.ok()?, "x509_authorities") == 2).then_some(())
        })
        .await?;
    }
    nest.root.server_command(&["localauthority", "x509", "taint", "-authorityID", &old]).await?.ok()?;
    for server in [&mut nest.middle, &mut nest.leaf] {
        let process = server.server()?;
        process.line("Current root CA is signed by a tainted upstream authority, preparing rotation").await?;
        ensure!(process.line("X.509 authority tainted").await?.contains(&old));
    }
    for (workload, id) in nest.workloads() {
        eventually("a chain below the new root", async || {
            let update = workload.x509().await.ok()?;
            (update.svid(id).ok()?.chain.last()?.authority_key_id_hex() == new).then_some(())
        })
        .await?;
    }
    nest.root.server_command(&["localauthority", "x509", "revoke", "-authorityID", &old]).await?.ok()?;
    for server in nest.servers() {
        eventually("only the new root", async || {
            (count(&bundle(server).await.ok()?, "x509_authorities") == 1).then_some(())
        })
        .await?;
    }
    for (workload, id) in nest.workloads() {
        has_ids(workload, &[id]).await?;
    }
    Ok(())
}

/// What SPIRE's commands print when a server is there; what differs from run to run stands as `<ID>` and `<TIME>`.
const RECORDED: &str = include_str!("../../../../tests/fixtures/authority-commands.txt");

/// `OLD` and `NEW` in the record are the active authority of the beginning and the one that was prepared last.
#[tokio::test(flavor = "multi_thread")]
async fn authority_commands_print_what_spire_prints() -> Result<()> {
    let deployment = serving("", "").await?;
    let variable = regex::Regex::new(r"(?-u:\b)([0-9a-f]{40}|[A-Za-z0-9]{32})(?-u:\b)")?;
    let moment = regex::Regex::new(r"20[0-9]{2}-[0-9-]+ [0-9:]+ \+0000 UTC")?;
    let seconds = regex::Regex::new(r#""expires_at":"[1-9][0-9]+""#)?;
    let (mut old, mut new) = (String::new(), String::new());
    for case in RECORDED.split("$ spire-server ").skip(1) {
        let (line, expected) = case.split_once('\n').context("a line")?;
        let mut words: Vec<&str> = line.split(' ').collect();
        if line.ends_with(" show") && line.starts_with("localauthority") {
            let shown = json(&deployment, &words).await?;
            if shown["old"].is_null() && shown["prepared"].is_null() {
                old = text(&shown, "/active/authority_id")?;
            }
            new = text(&shown, "/prepared/authority_id").unwrap_or(new);
        }
        for word in &mut words {
            match *word {
                "OLD" => *word = &old,
                "NEW" => *word = &new,
                _ => {}
            }
        }
        let outcome = deployment.server_command(&words).await?;
        let printed =
            format!("[stdout]\n{}[stderr]\n{}[rc] {}\n\n", outcome.stdout, outcome.stderr, outcome.code);
        let printed = variable.replace_all(&printed, "<ID>");
        let printed = moment.replace_all(&printed, "<TIME>");
        let printed = seconds.replace_all(&printed, r#""expires_at":"<TIME>""#);
        ensure!(printed == expected, "{line}\n--- expected\n{expected}--- printed\n{printed}");
    }
    Ok(())
}
