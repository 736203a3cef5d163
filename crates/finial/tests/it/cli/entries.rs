//! Entries, and what is refused.

use super::server;
use crate::serving;
use anyhow::Result;
use expect_test::expect;

#[tokio::test(flavor = "multi_thread")]
async fn entries_from_their_creation_to_their_deletion() -> Result<()> {
    let deployment = serving("", "").await?;
    let d = &deployment;
    let full = "entry create -entryID full -parentID spiffe://example.org/p -spiffeID spiffe://example.org/full \
                -x509SVIDTTL 3600 -jwtSVIDTTL 300 -selector unix:uid:1000 -selector unix:gid:1000 -admin \
                -downstream -entryExpiry 1900000000 -dns b.example.org -dns a.example.org -hint h \
                -disableX509SVIDPrefetch -jwtSVIDIncludeJTI";
    server(
        d,
        full,
        expect![[r#"
        Entry ID                : full
        SPIFFE ID               : spiffe://example.org/full
        Parent ID               : spiffe://example.org/p
        Revision                : 0
        Downstream              : true
        X509-SVID TTL           : 3600
        JWT-SVID TTL            : 300
        Expiration time         : <time>
        Selector                : unix:gid:1000
        Selector                : unix:uid:<uid>
        DNS name                : a.example.org
        DNS name                : b.example.org
        Admin                   : true
        Hint                    : h
        DisableX509SvidPrefetch : true
        JwtSvidIncludeJti       : true

    "#]],
    )
    .await?;
    server(
        d,
        full,
        expect![[r#"
        [stderr]
        Failed to create the following entry (code: AlreadyExists, msg: "similar entry already exists"):
        Entry ID                : full
        SPIFFE ID               : spiffe://example.org/full
        Parent ID               : spiffe://example.org/p
        Revision                : 0
        Downstream              : true
        X509-SVID TTL           : 3600
        JWT-SVID TTL            : 300
        Expiration time         : <time>
        Selector                : unix:uid:<uid>
        Selector                : unix:gid:1000
        DNS name                : b.example.org
        DNS name                : a.example.org
        Admin                   : true
        Hint                    : h
        DisableX509SvidPrefetch : true
        JwtSvidIncludeJti       : true

        Error: failed to create one or more entries
        [exit 1]
    "#]],
    )
    .await?;
    let json =
        "entry create -output json -node -spiffeID spiffe://example.org/alias -selector a:b -selector c:d";
    server(d, json, expect![[r#"
        {"results":[{"entry":{"admin":false,"created_at":<number>,"dns_names":[],"downstream":false,"expires_at":"0","federates_with":[],"hint":"","id":"<uuid>","jwt_svid_ttl":0,"parent_id":{"path":"/spire/server","trust_domain":"example.org"},"revision_number":"0","selectors":[{"type":"a","value":"b"},{"type":"c","value":"d"}],"spiffe_id":{"path":"/alias","trust_domain":"example.org"},"store_svid":false,"x509_svid_ttl":0},"status":{"code":0,"message":"OK"}}]}
    "#]]).await?;
    server(
        d,
        "entry show -entryID full",
        expect![[r#"
        Found 1 entry
        Entry ID                : full
        SPIFFE ID               : spiffe://example.org/full
        Parent ID               : spiffe://example.org/p
        Revision                : 0
        Downstream              : true
        X509-SVID TTL           : 3600
        JWT-SVID TTL            : 300
        Expiration time         : <time>
        Selector                : unix:gid:1000
        Selector                : unix:uid:<uid>
        DNS name                : b.example.org
        DNS name                : a.example.org
        Admin                   : true
        Hint                    : h
        DisableX509SvidPrefetch : true
        JwtSvidIncludeJti       : true

    "#]],
    )
    .await?;
    server(d, "entry show -entryID full -output json", expect![[r#"
        {"entries":[{"additional_attributes":{"disable_x509_svid_prefetch":true,"jwt_svid_include_jti":true},"admin":true,"created_at":<number>,"dns_names":["b.example.org","a.example.org"],"downstream":true,"expires_at":<number>,"federates_with":[],"hint":"h","id":"full","jwt_svid_ttl":300,"parent_id":{"path":"/p","trust_domain":"example.org"},"revision_number":"0","selectors":[{"type":"unix","value":"gid:1000"},{"type":"unix","value":"uid:1000"}],"spiffe_id":{"path":"/full","trust_domain":"example.org"},"store_svid":false,"x509_svid_ttl":3600}],"next_page_token":""}
    "#]]).await?;
    let update = "entry update -entryID full -parentID spiffe://example.org/p -spiffeID spiffe://example.org/new \
                  -selector unix:uid:1001 --jwtSVIDTTL=60";
    server(
        d,
        update,
        expect![[r#"
        Entry ID                : full
        SPIFFE ID               : spiffe://example.org/new
        Parent ID               : spiffe://example.org/p
        Revision                : 1
        X509-SVID TTL           : default
        JWT-SVID TTL            : 60
        Selector                : unix:uid:<uid>

    "#]],
    )
    .await?;
    server(
        d,
        "entry count",
        expect![[r#"
        2 registration entries
    "#]],
    )
    .await?;
    server(
        d,
        "entry delete -entryID full",
        expect![[r#"
        Deleted entry with ID: full


        Deleted 1 entries successfully"#]],
    )
    .await?;
    server(
        d,
        "entry delete -entryID full",
        expect![[r#"


        Failed to delete 1 entries[stderr]
        Failed to delete entry with ID full (code: NotFound, msg: "entry not found")
        Error: failed to delete one or more entries
        [exit 1]
    "#]],
    )
    .await?;
    server(
        d,
        "entry show -entryID full",
        expect![[r#"
        [stderr]
        Error: error fetching entry ID full: rpc error: code = NotFound desc = entry not found
        [exit 1]
    "#]],
    )
    .await?;
    server(
        d,
        "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x",
        expect![[r#"
        [stderr]
        Error: at least one selector is required
        [exit 1]
    "#]],
    )
    .await?;
    let negative = "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x -selector a:b \
                    -x509SVIDTTL -1";
    server(
        d,
        negative,
        expect![[r#"
        [stderr]
        Error: a positive x509-SVID TTL is required
        [exit 1]
    "#]],
    )
    .await?;
    let colon =
        "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x -selector nocolon";
    server(
        d,
        colon,
        expect![[r#"
        [stderr]
        Error: selector "nocolon" must be formatted as type:value
        [exit 1]
    "#]],
    )
    .await?;
    let unknown = "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x -selector a:b \
                   -federatesWith spiffe://unknown.test";
    server(d, unknown, expect![[r#"
        [stderr]
        Failed to create the following entry (code: Internal, msg: "failed to create entry: unable to find federated bundle \"spiffe://unknown.test\""):
        Entry ID                : (none)
        SPIFFE ID               : spiffe://example.org/x
        Parent ID               : spiffe://example.org/p
        Revision                : 0
        X509-SVID TTL           : default
        JWT-SVID TTL            : default
        Selector                : a:b
        FederatesWith           : spiffe://unknown.test

        Error: failed to create one or more entries
        [exit 1]
    "#]]).await?;
    Ok(())
}
