//! Programs in four languages that know SPIFFE from the libraries of others, against our agent.
//!
//! `tests/README.md` has their contract; `cargo xtask` builds them and says where they are. Each pair of
//! programs has two identities from two agents, so that no other user is needed.

use crate::{EAGER, has_ids, own_uid, serving};
use anyhow::{Context, Result, ensure};
use finial_testkit::{AgentOptions, Deployment, Outcome, Process, Workload, client_of, entry, skip};
use std::path::{Path, PathBuf};
use tokio::process::Command;

const A: &str = "spiffe://example.org/a";
const B: &str = "spiffe://example.org/b";
const LANGUAGES: [&str; 4] = ["GO", "PYTHON", "JAVA", "RUST"];
/// Long enough for a rotation at half of the 20 seconds that an SVID lives, jitter included.
const HELD_SECONDS: &str = "13";

/// Two agents with a workload each.
struct Pair {
    /// Dropped before their directory.
    _agents: Vec<Process>,
    deployment: Deployment,
}

impl Pair {
    async fn new() -> Result<Self> {
        let deployment = serving("", "").await?;
        deployment.set_foreign_bundle(1).await?;
        let mut agents = Vec::new();
        for (agent, id) in [("a", A), ("b", B)] {
            let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
            let (process, parent) = deployment.start_agent(agent, &options).await?;
            agents.push(process);
            let mut draft = entry(&parent, id, &[&own_uid()])?;
            draft.x509_svid_ttl = 20;
            draft.federates_with = vec!["other.test".to_owned()];
            deployment.create_entry(draft).await?;
            has_ids(&Workload::of(deployment.agent_socket(agent)), &[id]).await?;
        }
        Ok(Self { _agents: agents, deployment })
    }

    /// A client with the identity of this agent's workload.
    fn client(&self, program: &Path, agent: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let socket = format!("unix://{}", self.deployment.agent_socket(agent).display());
        command.args(arguments).arg("--socket").arg(socket);
        command
    }

    /// Starts a server with the identity B; gives its address, too.
    async fn serve(&self, program: &Path, peer: &str) -> Result<(Process, String)> {
        let mut command = self.client(program, "b", &["serve", "--peer-id", peer, "--listen", "127.0.0.1:0"]);
        let mut server = Process::start("serve", &mut command)?;
        let line = server.line("LISTENING ").await?;
        let address = line.trim_start_matches("LISTENING ").to_owned();
        Ok((server, address))
    }

    /// Runs a client to its end.
    async fn run(&self, program: &Path, agent: &str, arguments: &[&str]) -> Result<Outcome> {
        Outcome::of(&mut self.client(program, agent, arguments)).await
    }
}

trait Foreign {
    /// Sets a bundle for `other.test` with so many authorities.
    async fn set_foreign_bundle(&self, authorities: usize) -> Result<()>;
}

impl Foreign for Deployment {
    async fn set_foreign_bundle(&self, authorities: usize) -> Result<()> {
        let mut bundle = String::new();
        for _ in 0..authorities {
            let nodes = finial_testkit::NodeAuthority::new(self.path("foreign"))?;
            drop(nodes);
            bundle += &std::fs::read_to_string(self.path("foreign/ca.pem"))?;
        }
        let path = self.path("foreign.pem");
        std::fs::write(&path, bundle)?;
        let path = path.to_str().context("path")?.to_owned();
        let set = ["bundle", "set", "-id", "spiffe://other.test", "-path", &path];
        self.server_command(&set).await?.ok().map(|_| ())
    }
}

fn expect(outcome: &Outcome, code: i32, text: &str) -> Result<()> {
    ensure!(outcome.code == code && outcome.stdout.contains(text), "expected {code} {text:?}: {outcome:#?}");
    Ok(())
}

/// The whole contract for one language.
async fn contract(language: &str) -> Result<()> {
    let Some(program) = client_of(language) else {
        skip(&format!("real_clients::{}", language.to_lowercase()), "the client was not built");
        return Ok(());
    };
    let program = program.as_path();
    let pair = Pair::new().await?;
    let (mut server, address) = pair.serve(program, A).await?;

    // mTLS both ways, and a refusal by either side.
    let dial = |peer: &'static str| ["dial", "--connect", &address, "--peer-id", peer].map(str::to_owned);
    let run = async |agent: &str, arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        pair.run(program, agent, &arguments).await
    };
    expect(&run("a", &dial(B)).await?, 0, &format!("OK {B}")).context("dial")?;
    expect(&run("a", &dial(A)).await?, 3, "REFUSED ").context("the client wants somebody else")?;
    expect(&run("b", &dial(B)).await?, 3, "REFUSED ").context("the server wants somebody else")?;
    server.line(&format!("PEER {A}")).await?;
    server.line("REFUSED ").await?;

    // A rotation while connected, and everything else that waits, side by side.
    let hold = async {
        let hold = ["hold", "--connect", &address, "--peer-id", B, "--seconds", HELD_SECONDS];
        expect(&pair.run(program, "a", &hold).await?, 0, "HELD ").context("hold")
    };
    let rotate = async {
        let outcome = pair.run(program, "a", &["rotate", "--updates", "2"]).await?;
        expect(&outcome, 0, &format!("SVID {A} ")).context("rotate")?;
        ensure!(outcome.stdout.lines().count() == 2, "{outcome:#?}");
        Ok(())
    };
    let jwt = async {
        let outcome = pair.run(program, "a", &["jwt", "--audience", "aud-1"]).await?;
        expect(&outcome, 0, &format!("JWT {A} aud-1 VALID\nWRONG-AUDIENCE REFUSED\n")).context("jwt")?;
        let foreign = ["jwt", "--audience", "aud-1", "--spiffe-id", B, "--timeout", "10"];
        let outcome = pair.run(program, "a", &foreign).await?;
        ensure!(outcome.code != 0 && !outcome.stdout.contains("VALID"), "{outcome:#?}");
        Ok(())
    };
    tokio::try_join!(hold, rotate, jwt)?;

    // Bundles, and one that changes while they are watched.
    let mut watch = pair.client(program, "a", &["bundles", "--updates", "3"]);
    let mut watch = Process::start("bundles", &mut watch)?;
    watch.line("X509-BUNDLE other.test 1").await?;
    watch.line("JWT-BUNDLE ").await?;
    pair.deployment.set_foreign_bundle(2).await?;
    watch.line("X509-BUNDLE other.test 2").await?;
    ensure!(watch.ended().await?.success(), "{}", watch.output());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn go() -> Result<()> {
    contract("GO").await
}

#[tokio::test(flavor = "multi_thread")]
async fn python() -> Result<()> {
    contract("PYTHON").await
}

#[tokio::test(flavor = "multi_thread")]
async fn java() -> Result<()> {
    contract("JAVA").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rust() -> Result<()> {
    contract("RUST").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_with_every_other() -> Result<()> {
    let clients: Vec<(&str, PathBuf)> =
        LANGUAGES.into_iter().filter_map(|language| Some((language, client_of(language)?))).collect();
    if clients.len() < 2 {
        skip("real_clients::every_language_with_every_other", "the clients were not built");
        return Ok(());
    }
    let pair = Pair::new().await?;
    for (language, program) in &clients {
        let (_server, address) = pair.serve(program, A).await?;
        let dials = clients.iter().filter(|(other, _)| other != language).map(|(other, program)| {
            let (pair, address) = (&pair, &address);
            async move {
                let dial = ["dial", "--connect", address, "--peer-id", B];
                let outcome = pair.run(program, "a", &dial).await?;
                expect(&outcome, 0, &format!("OK {B}")).with_context(|| format!("{other} → {language}"))
            }
        });
        for dial in dials {
            dial.await?;
        }
    }
    Ok(())
}
