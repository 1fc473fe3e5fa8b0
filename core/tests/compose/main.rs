//! How commands compose: templates, secrets, lines, environment, input, and what the worker is given in the end.

mod arguments;
mod cost;
mod environment;
mod fixture;
mod input;
mod line;
mod reveal;
mod secrets;
mod spec;
mod templates;
