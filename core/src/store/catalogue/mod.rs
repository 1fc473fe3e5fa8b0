//! Tables of the catalogue: profiles, services, proxies, commands, schedules and API keys.

pub mod api_keys;
pub mod command_versions;
pub mod commands;
pub mod ingredients;
pub mod name_pages;
pub mod profile_relations;
pub mod profile_secrets;
pub mod profiles;
pub mod proxies;
pub mod references;
mod schedule_firing;
pub mod schedules;
pub mod services;
pub mod sessions;
mod table;
