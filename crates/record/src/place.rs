//! Places, and the exact position of a single memory.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Invalid, PlaceId};

/// A point on the Earth (WGS 84).
///
/// - Latitude −90 to 90 and longitude −180 to 180 degrees; altitude and accuracy in metres; all finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Radius of uncertainty in metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Metres above the sea.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub altitude: Option<f64>,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl Position {
    /// Takes degrees north and east.
    ///
    /// # Errors
    /// Not on the Earth.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, Invalid> {
        let position = Self { accuracy: None, altitude: None, latitude, longitude };
        position.validate()?;
        Ok(position)
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let within = |value: f64, limit: f64| value.is_finite() && value.abs() <= limit;
        let metres = |value: Option<f64>| value.is_none_or(f64::is_finite);
        if within(self.latitude, 90.0) && within(self.longitude, 180.0) && metres(self.altitude) && metres(self.accuracy) {
            Ok(())
        } else {
            Err(Invalid::new("position", "latitude needs -90 to 90 and longitude -180 to 180 degrees"))
        }
    }
}

/// A place that memories share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Region, state or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    /// Country, as the source writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Whatever else is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
    /// The id that memories refer to.
    pub id: PlaceId,
    /// Town or village.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// The name to show.
    pub name: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Fields of newer versions, kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}
