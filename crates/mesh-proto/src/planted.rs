//! Defects that are planted on purpose, to show that the simulator finds such.
//!
//! Invariant: without the feature `planted`, which no product has, nothing can be planted and each question is the
//! constant `false`.

macro_rules! defects {
    ($($(#[doc = $says:literal])+ $defect:ident = $name:literal breaks $promise:literal,)*) => {
        /// What can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[cfg_attr(feature = "planted", derive(serde::Serialize, serde::Deserialize))]
        pub enum Defect {
            $(
                $(#[doc = $says])+
                #[cfg_attr(feature = "planted", serde(rename = $name))]
                $defect,
            )*
        }

        #[cfg(feature = "planted")]
        impl Defect {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$defect,)*];

            /// Its name on a command line and in a file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$defect => $name,)* }
            }

            /// The promise that it breaks.
            #[must_use]
            pub const fn promise(self) -> &'static str {
                match self { $(Self::$defect => $promise,)* }
            }
        }
    };
}

defects! {
    /// The store notes as complete what it did not sync.
    SkipSync = "skip-sync" breaks "kept content survives restarts",
    /// The store takes received bytes for good without looking.
    SkipVerification = "skip-verification" breaks "no unverified byte visible",
    /// What was granted to a request that its peer took back is waited for, for ever.
    LeakGrant = "leak-grant" breaks "grants end",
    /// Of a span that breaks off, one chunk more than came is counted as here.
    OffByOneSpan = "off-by-one-span" breaks "what a node says it holds, it holds",
    /// A record takes the place of a newer one.
    AcceptOldVersion = "accept-old-version" breaks "record versions never go back",
    /// Who was banned is asked again.
    ForgetBan = "forget-ban" breaks "a banned peer is not asked again",
    /// What was asked of a peer that went away is asked of nobody else.
    LoseWant = "lose-want" breaks "every want ends",
    /// Each receipt counts again all that was receipted before.
    DoubleCountReceipt = "double-count-receipt" breaks "receipts never exceed what was sent",
    /// Anybody is given anything.
    ServeBeyondAccess = "serve-beyond-access" breaks "nobody is given what their access does not allow",
    /// A member that its community took back counts as one.
    ServeRevoked = "serve-revoked" breaks "nobody is given what their access does not allow",
    /// A timer is armed again for the moment at which it went off.
    RearmTimer = "rearm-timer" breaks "no wake-up storm",
    /// What peers want to know of is kept without a bound.
    UnboundedQueue = "unbounded-queue" breaks "no queue above its bound",
}

#[cfg(feature = "planted")]
impl std::str::FromStr for Defect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|defect| defect.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|defect| defect.name()).collect();
            format!("there is no defect of this name; there are {}", names.join(", "))
        })
    }
}

/// The defect that a part of the program has; none, unless a test planted one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(feature = "planted")]
    defect: Option<Defect>,
}

impl Planted {
    /// This defect.
    #[cfg(feature = "planted")]
    #[must_use]
    pub const fn new(defect: Option<Defect>) -> Self {
        Self { defect }
    }

    /// Whether it is this one.
    #[cfg(feature = "planted")]
    #[must_use]
    pub fn is(self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Never: nothing can be planted.
    #[cfg(not(feature = "planted"))]
    #[must_use]
    pub const fn is(self, _: Defect) -> bool {
        false
    }
}
