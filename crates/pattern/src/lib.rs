//! Event patterns in EventBridge's grammar, compiled to one automaton.
