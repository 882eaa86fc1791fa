//! The schema registry's REST paths, where serializers expect them.

mod answer;
mod levels;
mod schemas;
mod subjects;

use crate::api::Api;

pub fn routes() -> Api {
    Api::default().merge(subjects::routes()).merge(schemas::routes()).merge(levels::routes())
}
