//! The `Logger` services of server and agent: the log level while the process runs.
//!
//! Two packages with the same messages; what they do is here once.

use crate::convert::log_levels::{level_from_proto, logger_to_proto};
use crate::status::ToStatus;
use async_trait::async_trait;
use finial_proto::{agent, server, types};
use finial_runtime::logging::Handle;
use tonic::{Request, Response, Status};
use tracing::info;

/// The service, for both packages.
#[derive(Debug)]
pub struct LoggerService {
    log: Handle,
}

impl LoggerService {
    /// A service on this process's log.
    #[must_use]
    pub fn new(log: Handle) -> Self {
        info!(launch_log_level = %log.launch_level(), "Logger service configured");
        Self { log }
    }

    fn get(&self) -> Response<types::Logger> {
        info!("GetLogger Called");
        self.answer()
    }

    fn set(&self, level: i32) -> Result<Response<types::Logger>, Status> {
        let wanted = level_from_proto(level).map_err(|failure| failure.to_status())?;
        info!(new_log_level = %wanted, "SetLogLevel Called");
        self.log.set_level(wanted);
        Ok(self.answer())
    }

    fn reset(&self) -> Response<types::Logger> {
        info!(launch_log_level = %self.log.launch_level(), "ResetLogLevel Called");
        self.log.reset_level();
        self.answer()
    }

    fn answer(&self) -> Response<types::Logger> {
        Response::new(logger_to_proto(&self.log))
    }
}

macro_rules! serves {
    ($package:ident) => {
        #[async_trait]
        impl $package::logger::logger_server::Logger for LoggerService {
            async fn get_logger(
                &self,
                _: Request<$package::logger::GetLoggerRequest>,
            ) -> Result<Response<types::Logger>, Status> {
                Ok(self.get())
            }

            async fn set_log_level(
                &self,
                request: Request<$package::logger::SetLogLevelRequest>,
            ) -> Result<Response<types::Logger>, Status> {
                self.set(request.into_inner().new_level)
            }

            async fn reset_log_level(
                &self,
                _: Request<$package::logger::ResetLogLevelRequest>,
            ) -> Result<Response<types::Logger>, Status> {
                Ok(self.reset())
            }
        }
    };
}

serves!(server);
serves!(agent);
