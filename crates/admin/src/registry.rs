//! The schema registry's REST paths, where serializers expect them.

mod answer;
mod levels;
mod schemas;
mod subjects;

use crate::ports::Node;
use axum::Router;
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new().merge(subjects::routes()).merge(schemas::routes()).merge(levels::routes())
}
