//! The HTTP child, from a command's spec to what servers receive and what comes back. Without a
//! database.

mod answers;
mod call;
mod curl;
mod failures;
mod proxies;
mod redirects;
mod site;
