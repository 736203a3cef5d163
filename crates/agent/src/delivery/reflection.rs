//! gRPC server reflection, as the Workload Endpoint standard wishes (§3).

use tonic::service::RoutesBuilder;
use tonic_reflection::pb;
use tonic_reflection::server::Builder;

/// Adds both versions of the reflection service, each of which tells of all services of the public socket.
pub(crate) fn reflection(routes: &mut RoutesBuilder) {
    let known = "the descriptors are compiled in, and a test reads them";
    routes.add_service(builder().build_v1().expect(known));
    routes.add_service(builder().build_v1alpha().expect(known));
}

fn builder() -> Builder<'static> {
    Builder::configure()
        .include_reflection_service(false)
        .register_encoded_file_descriptor_set(finial_proto::workload::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(pb::v1alpha::FILE_DESCRIPTOR_SET)
}
