//! `spire.api.agent.logger.v1.Logger`: the log level while the agent runs.

use async_trait::async_trait;
use finial_proto::agent::logger::logger_server;
use finial_proto::agent::logger::{GetLoggerRequest, ResetLogLevelRequest, SetLogLevelRequest};
use finial_proto::types;
use finial_runtime::logging::{Handle, Level};
use tonic::{Request, Response, Status};
use tracing::info;

/// The service.
pub struct Logger {
    log: Handle,
}

impl Logger {
    /// A service on this process's log.
    pub fn new(log: Handle) -> Self {
        Self { log }
    }

    fn answer(&self) -> Response<types::Logger> {
        Response::new(types::Logger {
            current_level: number(self.log.level()).into(),
            launch_level: number(self.log.launch_level()).into(),
        })
    }
}

fn number(level: Level) -> types::LogLevel {
    match level {
        Level::Panic => types::LogLevel::Panic,
        Level::Fatal => types::LogLevel::Fatal,
        Level::Error => types::LogLevel::Error,
        Level::Warn => types::LogLevel::Warn,
        Level::Info => types::LogLevel::Info,
        Level::Debug => types::LogLevel::Debug,
        Level::Trace => types::LogLevel::Trace,
    }
}

fn level(number: i32) -> Result<Level, Status> {
    match types::LogLevel::try_from(number) {
        Ok(types::LogLevel::Unspecified) => {
            Err(Status::invalid_argument("newLevel value cannot be LogLevel_UNSPECIFIED"))
        }
        Ok(types::LogLevel::Panic) => Ok(Level::Panic),
        Ok(types::LogLevel::Fatal) => Ok(Level::Fatal),
        Ok(types::LogLevel::Error) => Ok(Level::Error),
        Ok(types::LogLevel::Warn) => Ok(Level::Warn),
        Ok(types::LogLevel::Info) => Ok(Level::Info),
        Ok(types::LogLevel::Debug) => Ok(Level::Debug),
        Ok(types::LogLevel::Trace) => Ok(Level::Trace),
        Err(_) => Err(Status::invalid_argument("unsupported log level")),
    }
}

#[async_trait]
impl logger_server::Logger for Logger {
    async fn get_logger(&self, _: Request<GetLoggerRequest>) -> Result<Response<types::Logger>, Status> {
        info!("GetLogger Called");
        Ok(self.answer())
    }

    async fn set_log_level(
        &self,
        request: Request<SetLogLevelRequest>,
    ) -> Result<Response<types::Logger>, Status> {
        let wanted = level(request.into_inner().new_level)?;
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
