//! One test binary for the server: the real program, started as its users start it.

#![cfg(test)] // so that clippy sees helpers, too, as tests

mod acceptance;
mod access;
mod audit_guide;
mod bad_input;
mod callers;
mod command_walk;
mod commands;
mod coverage;
mod deployments;
mod doctor;
mod document;
mod errors;
mod falls;
mod http;
mod idempotency;
mod keys;
mod mail;
mod metrics;
mod onboarding;
mod openapi;
mod pages;
mod people;
mod personas;
mod probe;
mod provisioning;
mod readme;
mod reads;
mod refusals;
mod resources;
mod same_work;
mod smtp;
mod sockets;
mod tenants;
mod two_processes;
mod up;
mod world;
