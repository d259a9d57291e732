//! An alias's routes by priority: each tier is tried when the one before it has nothing left (C15).

use std::collections::BTreeMap;

use crate::config::types::{Model, Route};

/// The routes that all three levels allow: the alias, the route, and its backend by `backend_enabled`.
/// With their index in the config, which stays the route's name for as long as that config runs.
pub fn usable(
    model: &Model,
    backend_enabled: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (usize, &Route)> {
    let routes = model.routes.iter().enumerate().filter(|_| model.enabled);
    routes.filter(move |(_, route)| route.enabled && backend_enabled(&route.backend))
}

/// Groups routes by priority, the lowest number first; within a tier they keep their order.
pub fn tiers<'a>(routes: impl IntoIterator<Item = (usize, &'a Route)>) -> Vec<Vec<(usize, &'a Route)>> {
    let mut tiers: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    for (index, route) in routes {
        tiers.entry(route.priority).or_default().push((index, route));
    }
    tiers.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::resolve::tests::{model, route};

    fn indexes(model: &Model, disabled: &str) -> Vec<Vec<usize>> {
        let tiers = tiers(usable(model, |backend| backend != disabled));
        tiers
            .iter()
            .map(|tier| tier.iter().map(|(index, _)| *index).collect())
            .collect()
    }

    #[test]
    fn c15_tiers_go_by_priority_and_keep_the_routes_own_indexes() {
        let mut model = model(&[]);
        model.routes = vec![route("a", 30), route("b", -1), route("c", 30), route("d", 5)];
        assert_eq!(indexes(&model, ""), [vec![1], vec![3], vec![0, 2]]);
        assert_eq!(indexes(&model, "b"), [vec![3], vec![0, 2]], "a disabled backend");
        if let Some(route) = model.routes.get_mut(0) {
            route.enabled = false;
        }
        assert_eq!(
            indexes(&model, ""),
            [vec![1], vec![3], vec![2]],
            "a disabled route"
        );
        model.enabled = false;
        assert!(indexes(&model, "").is_empty(), "a disabled alias");
    }
}
