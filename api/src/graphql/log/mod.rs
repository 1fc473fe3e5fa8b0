//! Log lines: as a list with search, and as the batches of a stream.

mod line;
mod list;

pub use line::{LogBatch, LogLine, LogStream};
pub use list::{LogLineConnection, LogLineEdge, LogRequest, cost, list};
