//! Deployments are kept in order by their generations.

use super::commit;
use crate::deployments::{VALUE_LEN_MAX, delete, put};
use crate::{DeploymentRecord, Error, Image};

fn deployment(generation: u32, value: i32) -> DeploymentRecord {
    DeploymentRecord {
        kind: "function".into(),
        name: "f".into(),
        generation,
        value: serde_json::json!({ "value": value }),
    }
}

#[test]
fn a_deploy_is_the_next_generation_and_a_change_of_state_the_same() {
    let mut image = Image::default();
    for (generation, value) in [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5)] {
        let stored = put(&image, deployment(generation, value));
        commit(&mut image, stored);
        let now = image.deployment("function", "f").unwrap();
        assert_eq!((now.generation, &now.value), (generation, &serde_json::json!({ "value": value })));
    }
    for generation in [0, 1, 2, 5, u32::MAX] {
        let conflict =
            Error::DeploymentConflict { kind: "function".into(), name: "f".into(), stored: 3, given: generation };
        assert_eq!(put(&image, deployment(generation, 9)), Err(conflict));
    }
    assert!(put(&image, deployment(3, 5)).unwrap().records.is_empty());
}

#[test]
fn a_first_deploy_is_generation_one() {
    let image = Image::default();
    for generation in [0, 2] {
        assert!(matches!(put(&image, deployment(generation, 1)), Err(Error::DeploymentConflict { stored: 0, .. })));
    }
    let nameless = DeploymentRecord { name: String::new(), ..deployment(1, 1) };
    assert!(matches!(put(&image, nameless), Err(Error::InvalidRequest { .. })));
    let huge = DeploymentRecord { value: "x".repeat(VALUE_LEN_MAX).into(), ..deployment(1, 1) };
    assert!(matches!(put(&image, huge), Err(Error::InvalidRequest { .. })));
}

#[test]
fn what_is_deleted_begins_again() {
    let mut image = Image::default();
    assert!(matches!(delete(&image, "function", "f"), Err(Error::UnknownDeployment { .. })));
    let stored = put(&image, deployment(1, 1));
    commit(&mut image, stored);
    assert!(delete(&image, "connector", "f").is_err(), "kinds are apart");
    let gone = delete(&image, "function", "f");
    commit(&mut image, gone);
    assert!(image.deployments().is_empty());
    assert!(put(&image, deployment(1, 1)).is_ok());
}
