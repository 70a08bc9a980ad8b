//! One copy of what templates have in common.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::pieces::Shape;
use super::table::Shared;
use crate::message::Route;

/// Keeps one copy of what templates have in common; one per schedule.
#[derive(Debug, Default)]
pub struct Interner {
    shapes: HashSet<Arc<Shape>>,
    tables: HashMap<Arc<Shape>, Arc<Shared>>,
    routes: HashMap<(String, String), Vec<Arc<Route>>>,
    texts: HashSet<Arc<str>>,
}

/// Routes to one exchange and key that are compared; more differ in everything anyway.
const SIMILAR: usize = 16;

impl Interner {
    /// One copy of `text`, such as the name of a task.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text = Arc::<str>::from(text);
        self.texts.insert(Arc::clone(&text));
        text
    }

    pub(super) fn shape(&mut self, shape: Shape) -> Arc<Shape> {
        if let Some(known) = self.shapes.get(&shape) {
            return known.clone();
        }
        let shape = Arc::new(shape);
        self.shapes.insert(shape.clone());
        shape
    }

    /// The table of a message whose JSON would have this shape.
    pub(super) fn table<E>(
        &mut self,
        shape: Shape,
        make: impl FnOnce() -> Result<Shared, E>,
    ) -> Result<Arc<Shared>, E> {
        if let Some(known) = self.tables.get(&shape) {
            return Ok(known.clone());
        }
        let table = Arc::new(make()?);
        self.tables.insert(Arc::new(shape), table.clone());
        Ok(table)
    }

    pub(super) fn route(&mut self, route: Route) -> Arc<Route> {
        let key = (route.exchange.clone(), route.routing_key.clone());
        let similar = self.routes.entry(key).or_default();
        if let Some(known) = similar.iter().find(|known| ***known == route) {
            return known.clone();
        }
        let route = Arc::new(route);
        if similar.len() < SIMILAR {
            similar.push(route.clone());
        }
        route
    }
}
