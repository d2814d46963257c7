//! The JSON API: its addresses, in the order of their subjects, and their description.

mod actions;
mod batches;
mod documents;
mod events;
mod fleet;
mod jobs;
mod orders;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::get;
use serde::Deserialize;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::guard;
use crate::app::Dashboard;
use crate::assets;
use crate::metrics::metrics;

const DESCRIPTION: &str = "\
What a fleet does, and what people do with its jobs. Times are seconds since 1970-01-01 UTC unless \
their names say otherwise. An error is an object with one line, `error`. Actions, which are all \
requests but GET, need the header `X-Stylefleet: 1`, and where the dashboard has a token, \
`Authorization: Bearer TOKEN` or the cookie that `POST api/session` gives.";

/// What the description says of the whole API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stylefleet dashboard",
        description = DESCRIPTION,
    ),
    servers((url = "./"))
)]
struct Api;

/// The addresses of the API, below the base path.
fn routes() -> OpenApiRouter<Arc<Dashboard>> {
    let images = OpenApiRouter::new()
        .routes(routes!(orders::image))
        .layer(DefaultBodyLimit::max(orders::MAX_IMAGE));
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(fleet::log_in, fleet::log_out))
        .routes(routes!(fleet::fleet))
        .routes(routes!(fleet::history))
        .routes(routes!(fleet::workers))
        .routes(routes!(batches::batches))
        .routes(routes!(batches::batch))
        .routes(routes!(batches::results))
        .routes(routes!(batches::search))
        .routes(routes!(jobs::job))
        .routes(routes!(jobs::curve))
        .routes(routes!(jobs::thumbnail))
        .routes(routes!(jobs::output))
        .routes(routes!(jobs::input))
        .routes(routes!(jobs::preview))
        .routes(routes!(actions::dead))
        .routes(routes!(actions::retry))
        .routes(routes!(actions::discard))
        .routes(routes!(actions::cancel))
        .routes(routes!(orders::offer))
        .routes(routes!(orders::style))
        .merge(images)
        .routes(routes!(orders::submit))
        .routes(routes!(events::events))
}

/// The description of the API, as OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// All that the dashboard answers.
pub(crate) fn router(dashboard: Arc<Dashboard>) -> Router {
    let (api, description) = routes().split_for_parts();
    let description = description.to_json().unwrap_or_default();
    let described = move || {
        let description = description.clone();
        async move { ([("content-type", "application/json")], description) }
    };
    let here = api
        .route("/", get(assets::index))
        .route("/api/openapi.json", get(described))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/{*path}", get(assets::file))
        .with_state(dashboard.clone());
    let base = dashboard.base_path().to_owned();
    let router = if base == "/" {
        here
    } else {
        let bare = base.trim_end_matches('/').to_owned();
        let to = base.clone();
        let redirect = get(move || async move { Redirect::permanent(&to) });
        Router::new()
            .route(&bare, redirect)
            .nest_service(&base, here)
    };
    router.layer(from_fn_with_state(dashboard, guard))
}

/// Which part of a list is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Page {
    /// How many are left out at its beginning.
    offset: usize,
    /// How many at most; 1000 at most.
    limit: usize,
    /// Only those with this in their names, whatever its case, or whose ids begin so.
    q: String,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: 100,
            q: String::new(),
        }
    }
}

impl Page {
    fn limit(&self) -> usize {
        self.limit.min(1000)
    }

    fn text(&self) -> String {
        self.q.trim().to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_described() {
        let description = openapi();
        assert!(description.paths.paths.len() > 15);
        for (path, item) in &description.paths.paths {
            let operations = [&item.get, &item.post, &item.delete];
            for operation in operations.into_iter().flatten() {
                assert!(operation.summary.is_some(), "{path} is not described");
            }
        }
    }
}
