//! Made-up memories and drawn photos, for the demonstration and for tests: life-like, and nobody's.

use keepsake_record::{Kind, LocalDay, Memory, MemoryId, TagName, Timestamp, When, Zone};

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct SampleSpec {
    /// How many memories.
    pub memories: u32,
    /// The first day.
    pub first_day: LocalDay,
    /// How many days they are spread over.
    pub days: u32,
    /// Makes others.
    pub seed: u64,
    /// About how many characters each has.
    pub text_chars: u32,
}

/// A small generator (SplitMix64, Steele et al. 2014): the same seed, the same memories.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const OPENINGS: [&str; 12] = [
    "Woke before the alarm",
    "Rain all morning",
    "A letter came",
    "Walked along the river",
    "The garden is waking",
    "Long talk on the phone",
    "Baked the first bread in weeks",
    "Missed the train",
    "Snow, at last",
    "Found the old photo box",
    "Market day",
    "A quiet Sunday",
];
const MIDDLES: [&str; 16] = [
    "and the light on the kitchen wall was the colour of honey",
    "and for once nobody hurried",
    "while the neighbours argued about the hedge",
    "so we took the long way round by the mill",
    "and I thought of the house by the sea",
    "and the dog would not come in",
    "which reminded me of grandfather's workshop",
    "and the children drew maps of countries that do not exist",
    "and the swifts are back under the roof",
    "and I wrote three pages before breakfast",
    "but the soup turned out better than planned",
    "and the whole street smelled of lime trees",
    "and we laughed until the tea was cold",
    "and the bells rang across the valley",
    "and there was frost on the inside of the window",
    "and I slept in the train both ways",
];
const CLOSINGS: [&str; 10] = [
    "To remember: the blue door.",
    "Must write it down properly some day.",
    "A good day.",
    "Tired, but content.",
    "Nothing more to say, and that is fine.",
    "Tomorrow the dentist.",
    "I want to keep this.",
    "Café in the old town again — crème brûlée.",
    "The moon was enormous.",
    "Called Mum afterwards.",
];
const TAGS: [&str; 10] = ["family", "garden", "travel", "work", "kitchen", "weather", "reading", "music", "friends", "home"];
const ZONES: [&str; 4] = ["Europe/Lisbon", "Europe/Berlin", "America/New_York", "Asia/Tokyo"];

/// Makes memories, oldest first.
pub fn sample_memories(spec: SampleSpec) -> impl Iterator<Item = Memory> {
    let mut dice = Dice(spec.seed);
    (0..spec.memories).map(move |i| {
        let day_number = (u64::from(i) * u64::from(spec.days) / u64::from(spec.memories.max(1))) as i64;
        let date = spec.first_day.to_jiff().saturating_add(jiff::Span::new().days(day_number));
        let day = LocalDay::from_jiff(date).unwrap_or(spec.first_day);
        let zone: Zone = dice.pick(&ZONES).parse().expect("a zone's name");
        let instant = Timestamp::from_micros(day.sort_micros() + (dice.below(86_400) as i64) * 1_000_000).expect("within the years");
        let mut random = [0; 16];
        random[..8].copy_from_slice(&dice.next().to_be_bytes());
        random[8..].copy_from_slice(&dice.next().to_be_bytes());
        let id = MemoryId::from_parts(instant.id_millis(), random[..10].try_into().expect("ten bytes"));
        let mut memory = Memory::new(id, instant);
        memory.kind = Kind::Entry;
        memory.when = When::instant(instant, zone);
        memory.title = Some(dice.pick(&OPENINGS).to_owned());
        let mut text = String::new();
        while text.chars().count() < spec.text_chars as usize {
            text.push_str(&format!("{}, {}. ", dice.pick(&OPENINGS), dice.pick(&MIDDLES)));
            if dice.below(5) == 0 {
                text.push_str("\n\n");
            }
        }
        text.push_str(dice.pick(&CLOSINGS));
        memory.text = text;
        memory.tags = (0..dice.below(4)).map(|_| dice.pick(&TAGS).parse::<TagName>().expect("a good tag")).collect();
        memory.starred = dice.below(20) == 0;
        memory.settle();
        memory
    })
}

/// Draws a picture: hills before a sky, as an uncompressed BMP of 24 bits. Other seeds, other hills.
pub fn drawn_photo(seed: u64, width: u32, height: u32) -> Vec<u8> {
    let mut dice = Dice(seed);
    let row = (width * 3).div_ceil(4) * 4;
    let size = 54 + row * height;
    let mut bmp = Vec::with_capacity(size as usize);
    bmp.extend_from_slice(b"BM");
    bmp.extend_from_slice(&size.to_le_bytes());
    bmp.extend_from_slice(&[0; 4]);
    bmp.extend_from_slice(&54_u32.to_le_bytes());
    bmp.extend_from_slice(&40_u32.to_le_bytes());
    bmp.extend_from_slice(&width.to_le_bytes());
    bmp.extend_from_slice(&height.to_le_bytes());
    bmp.extend_from_slice(&[1, 0, 24, 0]);
    bmp.extend_from_slice(&[0; 24]);
    let phases: Vec<f64> = (0..6).map(|_| dice.below(628) as f64 / 100.0).collect();
    let (hue, sun_x, sun_y) =
        (dice.below(60) as f64, dice.below(width as usize) as f64, f64::from(height) * (0.65 + dice.below(25) as f64 / 100.0));
    for y in 0..height {
        for x in 0..width {
            let (fx, fy) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let hill = |level: f64, i: usize| level + 0.08 * (fx * 6.0 + phases[i]).sin() + 0.03 * (fx * 17.0 + phases[i + 1]).sin();
            let glow = 90.0 / (1.0 + ((f64::from(x) - sun_x).hypot(f64::from(y) - sun_y) / 12.0).powi(2));
            let (b, g, r) = if fy < hill(0.25, 0) {
                (40.0, 90.0 + hue, 50.0)
            } else if fy < hill(0.42, 2) {
                (80.0, 120.0 + hue * 0.5, 90.0)
            } else if fy < hill(0.55, 4) {
                (140.0, 140.0, 110.0 + hue)
            } else {
                (235.0 - 60.0 * fy, 170.0 + 40.0 * fy + glow, 130.0 + hue + glow * 1.3)
            };
            let grain = (dice.next() % 7) as f64;
            for value in [b, g, r] {
                bmp.push((value + grain).clamp(0.0, 255.0) as u8);
            }
        }
        bmp.extend(std::iter::repeat_n(0, (row - width * 3) as usize));
    }
    bmp
}
