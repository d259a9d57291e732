//! Which of several failures the client hears (`reliability.md` 5.3, F42): the one that helps it most.

use std::time::Duration;

use super::policy::blames_the_caller;
use crate::base::Class;

/// One failed attempt of a request.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    /// What it came to.
    pub class: Class,
    /// Whether the request was converted for it: its complaints may be about our conversion.
    pub converted: bool,
    /// Whether it was the request's first choice.
    pub first_choice: bool,
    /// When the backend wants to be asked again.
    pub reset: Option<Duration>,
}

/// The index of the failure to tell; `None` where nothing was tried.
///
/// First the caller's own fault as the unconverted first choice saw it; then what passes by itself, the soonest
/// first; then a timeout; then a later unconverted word about the request; then the 502s, those of keys last; a
/// 404 only where all say so; and what a converted request was blamed for only where there is nothing else.
pub fn choose(attempts: &[Tried]) -> Option<usize> {
    let ranked = attempts.iter().enumerate().min_by_key(|(_, tried)| rank(tried));
    ranked.map(|(index, _)| index)
}

fn rank(tried: &Tried) -> (u8, Duration) {
    let place = match tried.class {
        class if blames_the_caller(class) => match (tried.converted, tried.first_choice) {
            (false, true) => 0,
            (false, false) => 3,
            (true, _) => 7,
        },
        Class::Rate | Class::Quota | Class::Overloaded | Class::Unavailable => 1,
        Class::TtftTimeout => 2,
        Class::Auth | Class::ForbiddenModel => 5,
        Class::NotFound => 6,
        Class::Overtaken | Class::ClientGone | Class::Local => 8,
        _ => 4,
    };
    (place, tried.reset.unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(class: Class) -> Tried {
        Tried {
            class,
            converted: false,
            first_choice: false,
            reset: None,
        }
    }

    fn first(class: Class) -> Tried {
        Tried {
            first_choice: true,
            ..tried(class)
        }
    }

    fn converted(class: Class) -> Tried {
        Tried {
            converted: true,
            ..tried(class)
        }
    }

    fn limited(class: Class, seconds: u64) -> Tried {
        Tried {
            reset: Some(Duration::from_secs(seconds)),
            ..tried(class)
        }
    }

    #[test]
    fn f42_the_most_useful_failure_is_told() {
        use Class::{
            Auth, Client, ClientGone, ContextLength, ForbiddenModel, Local, NotFound, Overloaded, Quota,
            Rate, Server, TtftTimeout, Unavailable,
        };
        #[rustfmt::skip]
        let cases = [
            ("nothing was tried", vec![], None),
            ("F42", vec![limited(Rate, 7), converted(Client)], Some(0)),
            ("the first choice knows the request", vec![first(Client), limited(Rate, 1)], Some(0)),
            ("F25: context, then nothing better", vec![first(ContextLength), tried(Server)], Some(0)),
            ("the soonest", vec![limited(Quota, 900), limited(Rate, 3), tried(Rate)], Some(1)),
            ("a rate before a timeout", vec![tried(TtftTimeout), tried(Unavailable)], Some(1)),
            ("a timeout before a 502", vec![tried(Server), tried(TtftTimeout)], Some(1)),
            ("a 502 before a converted 400", vec![first(Server), converted(Client)], Some(0)),
            ("a plain 400 before a 502", vec![first(Server), tried(Client)], Some(1)),
            ("a passing fault before a key's", vec![first(Auth), tried(Server)], Some(1)),
            ("a 404 only if all say so", vec![first(NotFound), tried(Auth)], Some(1)),
            ("a quota before a timeout", vec![tried(TtftTimeout), tried(Quota)], Some(1)),
            ("overload before a timeout", vec![tried(TtftTimeout), tried(Overloaded)], Some(1)),
            ("a timeout before a later 400", vec![tried(Client), tried(TtftTimeout)], Some(1)),
            ("a passing fault before a model that is not for this key", vec![tried(ForbiddenModel), tried(Server)], Some(1)),
            ("a 404 before a converted 400", vec![converted(Client), tried(NotFound)], Some(1)),
            ("our own refusal comes last", vec![tried(Local), converted(Client)], Some(1)),
            ("as does a client that left", vec![tried(ClientGone), converted(Client)], Some(1)),
            ("F23", vec![first(NotFound), tried(NotFound)], Some(0)),
            ("F24, converted, alone", vec![converted(Client)], Some(0)),
        ];
        for (id, attempts, expected) in cases {
            assert_eq!(choose(&attempts), expected, "{id}");
        }
    }
}
