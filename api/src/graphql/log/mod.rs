//! Log lines, as a searchable list and as batches of a subscription.

mod line;
mod list;

pub use line::{LogBatch, LogLine, LogStream};
pub use list::{LogLineConnection, LogLineEdge, LogRequest, cost, list};
