//! What ties the services together: each file puts one service behind the port that another one asks for.

pub mod cluster;
pub mod controller;
pub mod deployments;
pub mod groups;
pub mod known_cluster;
pub mod measures;
pub mod producer;
pub mod schemas;
pub mod topics;
