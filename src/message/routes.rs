//! `task_routes`.

use super::{Invalid, Options, Value};

/// The route table: which options a task gets by its name.
#[derive(Debug, Clone, Default)]
pub struct Routes {}

impl Routes {
    /// A table of patterns, an array of such tables, or an array of `[pattern, route]` pairs.
    ///
    /// # Errors
    /// Every pattern or route that cannot be used, keys relative to `task_routes`.
    pub fn from_value(routes: &Value) -> Result<Self, Vec<Invalid>> {
        let _ = routes;
        Ok(Self::default())
    }

    /// The options of the first route for `task`.
    #[must_use]
    pub fn lookup(&self, task: &str) -> Option<&Options> {
        let _ = task;
        None
    }
}
