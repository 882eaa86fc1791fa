//! Routes together with what they are for: none is served that the API's document does not describe, and none is described that is not
//! served, because both are made here by one call.

use crate::about::{About, Operation};
use crate::openapi;
use crate::ports::Node;
use axum::Router;
use axum::handler::Handler;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{self, MethodRouter};
use serde_json::json;
use std::sync::Arc;
use utoipa::openapi::HttpMethod;

/// Where the document is.
const DOCUMENT: &str = "/openapi.json";

/// Routes and their descriptions.
#[derive(Default)]
pub struct Api {
    router: Router<Arc<Node>>,
    operations: Vec<Operation>,
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {
        $(
            /// Adds a route of this method.
            pub fn $name<H, T>(self, path: impl Into<String>, handler: H, about: About) -> Self
            where
                H: Handler<T, Arc<Node>>,
                T: 'static,
            {
                self.add(HttpMethod::$method, path.into(), routing::$name(handler), about)
            }
        )*
    };
}

impl Api {
    methods!(get Get, post Post, put Put, patch Patch, delete Delete);

    fn add(mut self, method: HttpMethod, path: String, route: MethodRouter<Arc<Node>>, about: About) -> Self {
        self.router = self.router.route(&path, route);
        self.operations.push(Operation { method, path, about });
        self
    }

    /// These routes and others.
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    /// The router, with the document of all of it added.
    pub fn into_router(mut self) -> Router<Arc<Node>> {
        let about = About::new("This document.").shows(json!({"openapi": "3.1.0"}));
        self.operations.push(Operation { method: HttpMethod::Get, path: DOCUMENT.to_owned(), about });
        let document = Arc::new(openapi::document(&self.operations));
        let show = move || {
            let document = document.clone();
            async move { ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response() }
        };
        self.router.route(DOCUMENT, routing::get(show))
    }

    /// What is described so far.
    #[cfg(test)]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}
