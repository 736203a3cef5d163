//! A JWT-SVID proves itself twice: with the JWT bundles of the Workload API in this
//! process, and to the Workload API. Both must refuse another audience.

use anyhow::{Context, Result, ensure};
use spiffe::{JwtSource, JwtSvid, SpiffeId, WorkloadApiClient};

use crate::{Options, Outcome};

pub async fn jwt(options: &Options) -> Result<()> {
    tokio::time::timeout(options.timeout()?, check(options)).await.map_err(|_| Outcome::TimedOut)?
}

async fn check(options: &Options) -> Result<()> {
    let socket = options.get("socket")?;
    let audience = options.get("audience")?;
    let wanted: Option<SpiffeId> = options.find("spiffe-id").map(str::parse).transpose()?;

    let source = JwtSource::builder().endpoint(socket).build().await?;
    let client = WorkloadApiClient::connect_to(socket).await?;
    let svid = source.fetch_jwt_svid_with_id([audience], wanted.as_ref()).await?;

    let local =
        JwtSvid::parse_and_validate(svid.token(), &source, &[audience]).context("local validation")?;
    let remote =
        client.validate_jwt_token(audience, svid.token()).await.context("validation by the Workload API")?;
    ensure!(local.spiffe_id() == remote.spiffe_id(), "the validations disagree");
    println!("JWT {} {audience} VALID", local.spiffe_id());

    let wrong = format!("not-{audience}");
    ensure!(
        JwtSvid::parse_and_validate(svid.token(), &source, &[&wrong]).is_err(),
        "wrong audience was accepted here"
    );
    ensure!(
        client.validate_jwt_token(&wrong, svid.token()).await.is_err(),
        "wrong audience was accepted by the Workload API"
    );
    println!("WRONG-AUDIENCE REFUSED");
    Ok(())
}
