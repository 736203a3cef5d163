//! Commands whose other side is not there.

use super::{agent, shape};
use anyhow::Result;
use expect_test::{Expect, expect};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_home() -> Result<()> {
    let deployment = crate::deployment()?;
    let d = &deployment;
    let without_path = async |line: &str, expected: Expect| {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut outcome = d.server_command(&arguments).await?;
        outcome.stderr = outcome.stderr.replace(d.server_socket().to_str().unwrap_or_default(), "<socket>");
        expected.assert_eq(&shape(&outcome));
        anyhow::Ok(())
    };
    without_path(
        "healthcheck",
        expect![[r#"
        [stderr]
        Error: server is unhealthy: unable to determine health
        [exit 1]
    "#]],
    )
    .await?;
    without_path("entry show", expect![[r#"
        [stderr]
        Error: error fetching entries: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix //<socket>: connect: no such file or directory"
        [exit 1]
    "#]]).await?;
    agent(
        d,
        "healthcheck",
        expect![[r#"
        [stderr]
        Agent is unhealthy: unable to determine health
        [exit 1]
    "#]],
    )
    .await?;
    Ok(())
}
