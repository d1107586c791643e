//! Landbridge against real servers: MySQL and MariaDB, primary and replica, TLS, GTIDs, an ocean.

mod authentication;
mod changes;
mod cli;
mod commands;
mod consistency;
mod console;
mod crossing;
mod defaults;
mod dials;
mod direct;
mod drivers;
mod examples;
mod faults;
mod garbage;
mod invariant;
mod leftovers;
mod limits;
mod login;
mod pooling;
mod round_trips;
mod rules;
mod scopes;
mod support;
mod tables;
mod twins;
