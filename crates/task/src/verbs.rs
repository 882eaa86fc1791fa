//! The lifecycle verbs, pure: the stored deployment and a wish go in, the deployment to store comes out.

use crate::{Deployment, DeploymentKey, DeploymentState, Error};
use millstream_types::ErrorKind;
use serde_json::Value;

/// Longest name of a deployment: it becomes part of names of topics and groups, which Kafka bounds at 249 characters.
const NAME_LEN_MAX: usize = 100;

/// Whether a name can be part of a topic's and a group's name.
pub(crate) fn check_name(key: &DeploymentKey) -> Result<(), Error> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if (1..=NAME_LEN_MAX).contains(&key.name.len()) && key.name.chars().all(fits) && key.name != "." && key.name != ".."
    {
        return Ok(());
    }
    let message = format!(
        "{:?} can't be the name of a {}: expected 1 to {NAME_LEN_MAX} letters, digits, '.', '_' or '-'; choose another name",
        key.name,
        key.kind.word()
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

/// A deploy: the first generation, or the next one. What was paused stays paused.
pub(crate) fn deploy(current: Option<&Deployment>, key: DeploymentKey, spec: Value) -> Deployment {
    let Some(current) = current else {
        return Deployment {
            key,
            generation: 1,
            restarts: 0,
            state: DeploymentState::Running,
            spec,
            history: Vec::new(),
        };
    };
    let mut next = current.clone();
    next.generation += 1;
    next.history.push((current.generation, std::mem::replace(&mut next.spec, spec)));
    let surplus = next.history.len().saturating_sub(Deployment::HISTORY_MAX);
    next.history.drain(..surplus);
    next
}

/// A roll-back to an earlier generation's spec, or to the one before: a new generation as well.
pub(crate) fn rollback(current: &Deployment, to: Option<u32>) -> Result<Deployment, Error> {
    let found = match to {
        Some(generation) => current.history.iter().find(|(kept, _)| *kept == generation),
        None => current.history.last(),
    };
    let Some((_, spec)) = found else {
        let kept: Vec<_> = current.history.iter().map(|(generation, _)| generation.to_string()).collect();
        let kept = if kept.is_empty() { "none is kept".to_owned() } else { format!("kept are {}", kept.join(", ")) };
        let wanted =
            to.map_or_else(|| "earlier generation".to_owned(), |generation| format!("generation {generation}"));
        let message =
            format!("{} {:?} has no {wanted} to go back to: {kept}", current.key.kind.word(), current.key.name);
        return Err(Error::new(ErrorKind::NotFound, message));
    };
    let spec = spec.clone();
    Ok(deploy(Some(current), current.key.clone(), spec))
}

/// None when it is so already.
pub(crate) fn with_state(current: &Deployment, state: DeploymentState) -> Option<Deployment> {
    (current.state != state).then(|| Deployment { state, ..current.clone() })
}

/// The tasks of the same generation, started again.
pub(crate) fn restart(current: &Deployment) -> Deployment {
    Deployment { restarts: current.restarts.wrapping_add(1), ..current.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeploymentKind;
    use serde_json::json;

    fn key(name: &str) -> DeploymentKey {
        DeploymentKey { kind: DeploymentKind::Function, name: name.into() }
    }

    fn after(deploys: u32) -> Deployment {
        (2..=deploys)
            .fold(deploy(None, key("f"), json!(1)), |current, spec| deploy(Some(&current), key("f"), json!(spec)))
    }

    #[test]
    fn a_deploy_is_the_next_generation_and_keeps_the_last_specs() {
        let current = after(13);
        assert_eq!((current.generation, &current.spec), (13, &json!(13)));
        assert_eq!(current.history.len(), Deployment::HISTORY_MAX);
        assert_eq!((current.history.first(), current.history.last()), (Some(&(3, json!(3))), Some(&(12, json!(12)))));
    }

    #[test]
    fn a_roll_back_is_a_new_generation_with_an_old_spec() {
        let rolled = rollback(&after(3), Some(1)).unwrap();
        assert_eq!((rolled.generation, &rolled.spec, rolled.history.len()), (4, &json!(1), 3));
        let back = rollback(&after(3), None).unwrap();
        assert_eq!((back.generation, &back.spec), (4, &json!(2)));
    }

    #[test]
    fn a_roll_back_to_what_is_not_kept_says_what_is() {
        let error = rollback(&after(3), Some(9)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(error.message, "function \"f\" has no generation 9 to go back to: kept are 1, 2");
        let error = rollback(&after(1), None).unwrap_err();
        assert_eq!(error.message, "function \"f\" has no earlier generation to go back to: none is kept");
    }

    #[test]
    fn a_deploy_of_a_paused_one_stays_paused() {
        let paused = with_state(&after(1), DeploymentState::Paused).unwrap();
        assert_eq!(deploy(Some(&paused), key("f"), json!(2)).state, DeploymentState::Paused);
        assert_eq!(with_state(&paused, DeploymentState::Paused), None);
    }

    #[test]
    fn a_restart_changes_nothing_but_its_count() {
        assert_eq!(restart(&after(2)), Deployment { restarts: 1, ..after(2) });
    }

    #[test]
    fn names_are_those_of_topics() {
        assert!(check_name(&key("a.B_c-9")).is_ok());
        for name in ["", "a b", "ü", "..", "a/b", &"x".repeat(101)] {
            assert_eq!(check_name(&key(name)).unwrap_err().kind, ErrorKind::Invalid, "{name}");
        }
    }
}
