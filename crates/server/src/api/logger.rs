//! `spire.api.server.logger.v1.Logger`: the log level while the server runs.

use async_trait::async_trait;
use finial_proto::server::logger::logger_server::Logger;
use finial_proto::server::logger::{GetLoggerRequest, ResetLogLevelRequest, SetLogLevelRequest};
use finial_proto::types;
use finial_runtime::logging::Handle;
use finial_wire::convert::log_levels::{level_from_proto, logger_to_proto};
use finial_wire::status::ToStatus;
use tonic::{Request, Response, Status};
use tracing::info;

/// The service.
pub struct LoggerService {
    log: Handle,
}

impl LoggerService {
    /// A service on this process's log.
    pub fn new(log: Handle) -> Self {
        Self { log }
    }

    fn answer(&self) -> Response<types::Logger> {
        Response::new(logger_to_proto(&self.log))
    }
}

#[async_trait]
impl Logger for LoggerService {
    async fn get_logger(&self, _: Request<GetLoggerRequest>) -> Result<Response<types::Logger>, Status> {
        info!("GetLogger Called");
        Ok(self.answer())
    }

    async fn set_log_level(
        &self,
        request: Request<SetLogLevelRequest>,
    ) -> Result<Response<types::Logger>, Status> {
        let wanted =
            level_from_proto(request.into_inner().new_level).map_err(|failure| failure.to_status())?;
        info!(new_log_level = %wanted, "SetLogLevel Called");
        self.log.set_level(wanted);
        Ok(self.answer())
    }

    async fn reset_log_level(
        &self,
        _: Request<ResetLogLevelRequest>,
    ) -> Result<Response<types::Logger>, Status> {
        info!(launch_log_level = %self.log.launch_level(), "ResetLogLevel Called");
        self.log.reset_level();
        Ok(self.answer())
    }
}
