//! Federation relationships, from flags or from a document.

use super::json::{Decoder, Json, Place, parse};
use super::read_input;
use crate::output::Fault;
use crate::output::go_text::quoted;
use crate::output::server::bundle::BundleFormat;
use finial_identity::bundle::format::{decode_pem, decode_spiffe};
use finial_identity::{SpiffeId, TrustDomain};
use finial_proto::types::federation_relationship::BundleEndpointProfile;
use finial_proto::types::{
    Bundle, FederationRelationship, HttpsWebProfile, HttpsspiffeProfile, X509Certificate,
};
use finial_wire::convert::bundles::bundle_to_proto;

/// A relationship as it was written, by flags or in a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WrittenRelationship {
    /// With whom.
    pub(crate) trust_domain: String,
    /// Where its bundle is.
    pub(crate) bundle_endpoint_url: String,
    /// How the endpoint proves who it is.
    pub(crate) bundle_endpoint_profile: String,
    /// Who it is, if it proves it with an SVID.
    pub(crate) endpoint_spiffe_id: String,
    /// The bundle that is known already.
    pub(crate) bundle: WrittenBundle,
    /// In which form.
    pub(crate) bundle_format: String,
}

/// A bundle that comes with a relationship.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum WrittenBundle {
    /// None.
    #[default]
    Absent,
    /// In this file.
    File(String),
    /// Within the document: a text, or an object as it was written.
    Text(String),
    /// Within the document, and of the wrong kind for its format.
    Object(Vec<u8>),
}

const WEB: &str = "https_web";
const SPIFFE: &str = "https_spiffe";

/// The relationships of `{"federationRelationships": […]}`.
pub(crate) fn parse_relationships(document: &[u8]) -> Result<Vec<FederationRelationship>, Fault> {
    let value = parse(document).map_err(|error| Fault::new(format!("failed to parse JSON: {error}")))?;
    let mut decoder = Decoder::default();
    let mut written = Vec::new();
    let root = Place { field: None, go_type: "federation.federationRelationships" };
    for (name, value) in decoder.members(&value, root) {
        if name.eq_ignore_ascii_case("federationRelationships") {
            let place = Place {
                field: Some(("federationRelationships", "federationRelationships")),
                go_type: "[]*federation.federationRelationshipConfig",
            };
            let items = decoder.items(value, place);
            written = items.iter().map(|item| read_relationship(&mut decoder, item, document)).collect();
        }
    }
    let written =
        decoder.finish(written).map_err(|error| Fault::new(format!("failed to parse JSON: {error}")))?;
    let numbered = written.iter().enumerate();
    numbered
        .map(|(index, one)| {
            to_proto(one).map_err(|fault| fault.after(&format!("could not parse item {index}")))
        })
        .collect()
}

fn read_relationship(decoder: &mut Decoder, value: &Json, document: &[u8]) -> WrittenRelationship {
    let of_list = Place {
        field: Some(("federationRelationships", "federationRelationships")),
        go_type: "federation.federationRelationshipConfig",
    };
    let mut written = WrittenRelationship::default();
    for (name, value) in decoder.members(value, of_list) {
        let path = format!("federationRelationships.{name}");
        let place = Place { field: Some(("federationRelationshipConfig", path.as_str())), go_type: "string" };
        let into = match name.to_ascii_lowercase().as_str() {
            "trustdomain" => &mut written.trust_domain,
            "bundleendpointurl" => &mut written.bundle_endpoint_url,
            "bundleendpointprofile" => &mut written.bundle_endpoint_profile,
            "endpointspiffeid" => &mut written.endpoint_spiffe_id,
            "trustdomainbundleformat" => &mut written.bundle_format,
            "trustdomainbundle" => {
                written.bundle = match value {
                    Json::Text(text) => WrittenBundle::Text(text.clone()),
                    Json::Object(_, range) => {
                        WrittenBundle::Object(document.get(range.clone()).unwrap_or_default().to_vec())
                    }
                    _ => WrittenBundle::Object(Vec::new()),
                };
                continue;
            }
            _ => continue,
        };
        decoder.text(into, value, place);
    }
    written
}

/// A relationship as the API takes it.
pub(crate) fn to_proto(written: &WrittenRelationship) -> Result<FederationRelationship, Fault> {
    if written.trust_domain.is_empty() {
        return Err(Fault::new("trust domain is required"));
    }
    if written.bundle_endpoint_url.is_empty() {
        return Err(Fault::new("bundle endpoint URL is required"));
    }
    let mut bundle_owner = written.trust_domain.clone();
    let profile = match written.bundle_endpoint_profile.as_str() {
        WEB => BundleEndpointProfile::HttpsWeb(HttpsWebProfile {}),
        SPIFFE => {
            if written.endpoint_spiffe_id.is_empty() {
                return Err(Fault::new(
                    "endpoint SPIFFE ID is required if 'https_spiffe' endpoint profile is set",
                ));
            }
            let id = SpiffeId::parse(&written.endpoint_spiffe_id)
                .map_err(|error| Fault::new(format!("cannot parse bundle endpoint SPIFFE ID: {error}")))?;
            bundle_owner = id.trust_domain().as_str().to_owned();
            BundleEndpointProfile::HttpsSpiffe(HttpsspiffeProfile {
                endpoint_spiffe_id: written.endpoint_spiffe_id.clone(),
            })
        }
        other => {
            return Err(Fault::new(format!("unknown bundle endpoint profile type: {}", quoted(other))));
        }
    };
    Ok(FederationRelationship {
        trust_domain: written.trust_domain.clone(),
        bundle_endpoint_url: written.bundle_endpoint_url.clone(),
        bundle_endpoint_profile: Some(profile),
        trust_domain_bundle: read_bundle(written, &bundle_owner)?,
    })
}

fn read_bundle(written: &WrittenRelationship, owner: &str) -> Result<Option<Bundle>, Fault> {
    const WITHIN: &str = "cannot parse bundle raw message";
    let format = written.bundle_format.as_str();
    let parsed = match &written.bundle {
        WrittenBundle::Absent => return Ok(None),
        WrittenBundle::File(path) => {
            let bytes = read_input(path, "").map_err(|fault| fault.after("cannot read bundle file"))?;
            let format = if format == "pem" { BundleFormat::Pem } else { BundleFormat::Spiffe };
            parse_bundle(&bytes, format, owner).map_err(|fault| fault.after("cannot parse bundle file"))
        }
        WrittenBundle::Text(text) if format == "pem" => {
            parse_bundle(text.as_bytes(), BundleFormat::Pem, owner).map_err(|fault| fault.after(WITHIN))
        }
        WrittenBundle::Object(document) if format == "spiffe" => {
            parse_bundle(document, BundleFormat::Spiffe, owner).map_err(|fault| fault.after(WITHIN))
        }
        WrittenBundle::Object(_) if format == "pem" => Err(Fault::new(format!(
            "{WITHIN}: failed to unmarshal json: json: cannot unmarshal object into Go value of type string"
        ))),
        WrittenBundle::Text(_) if format == "spiffe" => Err(Fault::new(format!(
            "{WITHIN}: unable to parse to spiffe bundle: spiffebundle: unable to parse JWKS: \
             json: cannot unmarshal string into Go value of type spiffebundle.bundleDoc"
        ))),
        _ => Err(Fault::new(format!("{WITHIN}: bundle format {} is unsupported", quoted(format)))),
    };
    parsed.map(Some)
}

/// A bundle as an operator has it. In PEM the trust domain goes to the server as it was written.
pub(crate) fn parse_bundle(bytes: &[u8], format: BundleFormat, id: &str) -> Result<Bundle, Fault> {
    match format {
        BundleFormat::Pem => {
            // Whose it is does not matter for reading.
            let nobody = TrustDomain::parse("nobody")?;
            let bundle = decode_pem(nobody, bytes)
                .map_err(|error| Fault::new(format!("unable to parse bundle data: {error}")))?;
            let x509_authorities = bundle.x509_authorities.iter().map(|authority| X509Certificate {
                asn1: bytes::Bytes::copy_from_slice(authority.certificate.der()),
                tainted: false,
            });
            Ok(Bundle {
                trust_domain: id.to_owned(),
                x509_authorities: x509_authorities.collect(),
                ..Bundle::default()
            })
        }
        BundleFormat::Spiffe => {
            const DOING: &str = "unable to parse to spiffe bundle: spiffebundle";
            let trust_domain = TrustDomain::parse(id)?;
            // Go tells of bad JSON in its own words.
            parse(bytes).map_err(|error| Fault::new(format!("{DOING}: unable to parse JWKS: {error}")))?;
            let mut bundle = decode_spiffe(trust_domain, bytes)
                .map_err(|error| Fault::new(format!("{DOING}: {error}")))?;
            bundle.wit_authorities.clear();
            Ok(bundle_to_proto(&bundle, None))
        }
    }
}
