//! The suites that published SPIFFE crates carry for a running agent, against ours.
//!
//! `tests/registry-suites/README.md` says what they want; `cargo xtask` builds them and says where they are.

use crate::{deployment, has_ids, own_uid, start_server};
use anyhow::{Context, Result, ensure};
use finial_testkit::{AgentOptions, Deployment, Outcome, Process, Workload, client_of, skip};
use std::path::Path;
use tokio::process::Command;

const OURS: &str = "example.org";
const FEDERATED: &str = "example-federated.org";
/// Programs, and how many tests each must have run: fewer, and a suite has become empty unnoticed.
const SUITES: [(&str, u32); 5] = [
    ("workload_api_client", 14),
    ("x509_source", 23),
    ("jwt_source", 23),
    ("integration_mtls", 1),
    ("federation_mtls", 1),
];

/// A trust domain with an agent.
struct Side {
    /// Dropped before its directory.
    agent: Process,
    parent: String,
    deployment: Deployment,
}

impl Side {
    async fn new(trust_domain: &str) -> Result<Self> {
        let mut deployment = deployment()?.of_trust_domain(trust_domain);
        start_server(&mut deployment, "", "").await?;
        let (agent, parent) = deployment.start_agent("a", &AgentOptions::default()).await?;
        Ok(Self { agent, parent, deployment })
    }

    /// Trusts another trust domain, as an operator would say it by hand.
    async fn trust(&self, other: &Self) -> Result<()> {
        let bundle = self.deployment.path("other.json");
        let show = ["bundle", "show", "-format", "spiffe"];
        std::fs::write(&bundle, other.deployment.server_command(&show).await?.ok()?)?;
        let (id, path) = (other.deployment.id(""), bundle.to_str().context("path")?);
        let set = ["bundle", "set", "-id", &id, "-format", "spiffe", "-path", path];
        self.deployment.server_command(&set).await?.ok().map(|_| ())
    }

    /// The two identities that the suites want, both of this process's user.
    async fn register(&self, name: &str, other: &Self) -> Result<()> {
        let uid = own_uid();
        for service in ["myservice", "myservice2"] {
            let (id, federated) = (self.deployment.id(&format!("/{service}")), other.deployment.id(""));
            let create = [
                ["entry", "create"],
                ["-parentID", &self.parent],
                ["-spiffeID", &id],
                ["-selector", &uid],
                ["-hint", service],
                ["-dns", name],
                ["-federatesWith", &federated],
            ];
            self.deployment.server_command(create.as_flattened()).await?.ok()?;
        }
        let ids = ["/myservice", "/myservice2"].map(|path| self.deployment.id(path));
        has_ids(&Workload::of(self.deployment.agent_socket("a")), &ids.each_ref().map(String::as_str))
            .await?;
        Ok(())
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.deployment.agent_socket("a").display())
    }
}

async fn run(suite: &Path, tests: u32, ours: &Side, federated: &Side) -> Result<()> {
    let mut program = Command::new(suite);
    program.arg("--ignored").env("SPIFFE_ENDPOINT_SOCKET", ours.socket());
    program.env("SPIFFE_ENDPOINT_SOCKET_FEDERATED", federated.socket());
    let outcome = Outcome::of(&mut program).await?;
    let passed = format!("test result: ok. {tests} passed; 0 failed");
    ensure!(outcome.code == 0 && outcome.stdout.contains(&passed), "expected {passed:?}: {outcome:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn published_suites_pass_over_two_federated_trust_domains() -> Result<()> {
    let Some(programs) = client_of("SUITES") else {
        skip("registry_suites", "the suites were not built");
        return Ok(());
    };
    let (mut ours, mut federated) = tokio::try_join!(Side::new(OURS), Side::new(FEDERATED))?;
    tokio::try_join!(ours.trust(&federated), federated.trust(&ours))?;
    tokio::try_join!(ours.register(OURS, &federated), federated.register(FEDERATED, &ours))?;
    for (program, tests) in SUITES {
        run(&programs.join(program), tests, &ours, &federated).await.context(program)?;
    }
    ensure!(ours.agent.is_running() && federated.agent.is_running(), "an agent has ended");
    Ok(())
}
