//! Log lines as logrus writes them, on `tracing`.
//!
//! For the door (which calls [`init`] once) and for whoever changes the level at run time or reopens the
//! file (through the [`Handle`]). Everybody else only uses `tracing`'s macros. It decides nothing about what
//! is worth logging.
//!
//! Conventions:
//! * The message is the macro's format string; fields are named as in SPIRE. A name that is not a Rust
//!   identifier is written as a string literal: `tracing::info!("grpc.method" = "Mint", "Called")`.
//! * Errors: `error = %logging::chain(&error)`, or `error = &error as &dyn Error`: both print all causes.
//! * Fields that many lines share live on a span: `tracing::error_span!("-", subsystem_name = "endpoints")`.
//!   Use `error_span!` for that: a span above the configured level does not exist and adds nothing.
//! * Events whose target begins with `finial` (all our crates) are shown at the configured level; those of
//!   other crates only from `warn` on.

mod format;
mod level;
mod moment;
mod options;
mod record;
mod sink;

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use jiff::tz::TimeZone;
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Metadata};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::Clock;
use crate::files::FileError;
use format::{Precision, Style};
use record::{Fields, Record};
use sink::Sink;

pub use level::{Level, UnknownLevel};
pub use moment::{go_time, rfc3339};
pub use options::{Format, Options, SourceLocation, UnknownFormat};
pub use record::{FieldValue, chain};
pub use sink::{Buffer, Output};

/// The targets that are shown at the configured level.
const OWN_TARGET_PREFIX: &str = "finial";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The log file cannot be opened; its path and advice are in the source.
    #[error("unable to open the log")]
    Open(#[from] FileError),
    /// [`init`] was called before.
    #[error("logging is already set up")]
    Twice,
}

/// Sets up the process's logging. Once, by the door.
pub fn init(options: Options) -> Result<Handle, InitError> {
    let (handle, subscriber) = build(options)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| InitError::Twice)?;
    Ok(handle)
}

/// The same without making it the process's: for tests, with `tracing::subscriber::with_default`.
pub fn build(options: Options) -> Result<(Handle, impl Subscriber + Send + Sync), InitError> {
    let sink = Sink::open(options.output)?;
    let style = match options.format {
        Format::Json => Style::Json,
        _ if sink.is_terminal() => Style::Coloured { started: options.clock.now() },
        Format::Default => Style::Plain(Precision::Seconds),
        Format::Text => Style::Plain(Precision::Nanoseconds),
    };
    let core = Arc::new(Core {
        level: AtomicU8::new(options.level as u8),
        launch: options.level,
        sink,
        style,
        location: options.source_location,
        zone: options.zone.unwrap_or_else(TimeZone::system),
        clock: options.clock,
    });
    let subscriber = Registry::default().with(LogrusLayer(Arc::clone(&core)));
    Ok((Handle(core), subscriber))
}

/// Changes the running log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Core>);

impl Handle {
    /// The level now.
    #[must_use]
    pub fn level(&self) -> Level {
        self.0.level()
    }

    /// The level at launch.
    #[must_use]
    pub fn launch_level(&self) -> Level {
        self.0.launch
    }

    /// Sets the level, for all threads, at once.
    pub fn set_level(&self, level: Level) {
        self.0.level.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Back to the level at launch.
    pub fn reset_level(&self) {
        self.set_level(self.0.launch);
    }

    /// Opens the log file anew after a rotation; nothing to do when the log is not a file. Blocks.
    pub fn reopen(&self) -> Result<(), FileError> {
        self.0.sink.reopen()
    }

    /// Writes a line whose field names are known only at run time, as those of an external plugin.
    pub fn write(&self, level: Level, message: &str, fields: impl IntoIterator<Item = (String, FieldValue)>) {
        if level > self.level() {
            return;
        }
        let mut collected = Fields::default();
        message.clone_into(&mut collected.message);
        for (name, value) in fields {
            collected.set(name, value);
        }
        self.0.write(level, &mut collected);
    }
}

#[derive(Debug)]
struct Core {
    level: AtomicU8,
    launch: Level,
    sink: Sink,
    style: Style,
    location: SourceLocation,
    zone: TimeZone,
    clock: Arc<dyn Clock>,
}

impl Core {
    fn level(&self) -> Level {
        Level::from_u8(self.level.load(Ordering::Relaxed))
    }

    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let level = self.level();
        let allowed =
            if metadata.target().starts_with(OWN_TARGET_PREFIX) { level } else { level.min(Level::Warn) };
        *metadata.level() <= allowed.filter()
    }

    fn write(&self, level: Level, fields: &mut Fields) {
        thread_local!(static LINE: RefCell<String> = const { RefCell::new(String::new()) });
        let record = Record { time: self.clock.now(), level, fields };
        LINE.with_borrow_mut(|line| {
            line.clear();
            self.style.write(line, record, &self.zone);
            self.sink.write(line.as_bytes());
        });
    }

    fn add_location(&self, metadata: &Metadata<'_>, fields: &mut Fields) {
        if self.location == SourceLocation::Hidden {
            return;
        }
        if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
            let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
            fields.set("file", FieldValue::Text(format!("{name}:{line}")));
        }
        if let Some(module) = metadata.module_path() {
            fields.set("func", module.into());
        }
    }
}

struct LogrusLayer(Arc<Core>);

impl fmt::Debug for LogrusLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogrusLayer")
    }
}

impl<S> Layer<S> for LogrusLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // The answer is cached per callsite until the level changes, so a hidden event costs one load.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.shows(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.0.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level().filter())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &SpanRecord<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(scope) = context.event_scope(event) {
            for span in scope {
                if let Some(outer) = span.extensions().get::<Fields>() {
                    fields.inherit(outer);
                }
            }
        }
        self.0.add_location(event.metadata(), &mut fields);
        self.0.write(event.metadata().level().into(), &mut fields);
    }
}

#[cfg(test)]
mod tests;
