//! Registers side by side as every type in every order, for a person and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use riverwatts_shared::profile::Function;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::registers::Read;
use super::words::{Arrangement, Number, Type};

/// Registers up to which each type has a line of its own.
const FEW: usize = 4;
/// Wide columns that are shown without `--as`.
const WIDE_MAX: usize = 3;
/// Shortest text that is told, in characters, unless nothing else stands there.
const TEXT_MIN: usize = 6;
/// Mean plausibility from which a column is marked.
const PLAUSIBLE: f64 = 0.9;

/// Registers and what they could mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Modbus address of the device.
    pub unit: u8,
    /// Which table of the device.
    pub function: Function,
    /// Readings of values that take several registers, the most plausible first.
    pub columns: Vec<Column>,
    /// Every register.
    pub registers: Vec<Row>,
    /// Whether the unit answered anything, if only to refuse.
    pub answered: bool,
    /// Text that stands there, if the bytes are one.
    pub text: Option<String>,
    /// The types that were asked for.
    #[serde(skip)]
    pub asked: Vec<Type>,
}

/// One way to read all registers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Column {
    /// The type.
    #[serde(rename = "type")]
    pub of: Type,
    /// The order of words and bytes.
    pub order: Arrangement,
    /// Mean plausibility of its values, -2 to 2.
    pub plausibility: f64,
    /// Whether it is worth a look.
    pub plausible: bool,
    /// At which addresses its values begin: this one, and every so many registers on.
    pub from: u16,
}

/// One register.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// PDU address.
    pub address: u16,
    /// Its word.
    pub word: Option<u16>,
    /// Why there is none.
    pub error: Option<String>,
    /// What begins here, by type and order.
    pub numbers: BTreeMap<Type, BTreeMap<Arrangement, Number>>,
}

impl Table {
    /// The table of what was read.
    pub fn new(unit: u8, function: Function, read: Vec<Read>, asked: Vec<Type>) -> Table {
        let words = |at: usize, width: usize| -> Option<Vec<u16>> {
            let slots = read.get(at..at + width)?;
            let together = slots.iter().zip(slots[0].address..).all(|(slot, address)| slot.address == address);
            slots.iter().map(|slot| slot.word).collect::<Option<Vec<_>>>().filter(|_| together)
        };
        let types = if function.reads_bits() { &[][..] } else { &Type::ALL[..] };
        let numbers = |at: usize| {
            let of = |&of: &Type| {
                let words = words(at, of.width())?;
                let number = |&order: &Arrangement| Some((order, of.read(&words, order)?));
                Some((of, of.arrangements().iter().filter_map(number).collect()))
            };
            types.iter().filter_map(of).collect()
        };
        let row = |(at, slot): (usize, &Read)| Row {
            address: slot.address,
            word: slot.word,
            error: slot.error.clone(),
            numbers: numbers(at),
        };
        let registers: Vec<Row> = read.iter().enumerate().map(row).collect();
        let all = types.iter().flat_map(|&of| of.arrangements().iter().map(move |&order| (of, order)));
        let mut columns: Vec<Column> = all.filter_map(|(of, order)| column(&registers, of, order)).collect();
        columns.sort_by(|a, b| b.plausibility.total_cmp(&a.plausibility));
        let text = text(&read).filter(|_| !function.reads_bits());
        let answered = registers.iter().any(|row| row.word.is_some());
        Table { unit, function, columns, registers, answered, text, asked }
    }

    /// Whether any register was read.
    pub fn has_words(&self) -> bool {
        self.registers.iter().any(|row| row.word.is_some())
    }

    /// The columns that a person is shown: what was asked for, or the most plausible wide ones.
    fn shown(&self) -> Vec<Column> {
        if !self.asked.is_empty() {
            let mut shown: Vec<_> =
                self.columns.iter().filter(|column| self.asked.contains(&column.of)).copied().collect();
            shown.sort_by_key(|column| self.asked.iter().position(|of| *of == column.of));
            return shown;
        }
        // The best order of each type: others that look right differ by a shift only.
        let mut best: Vec<Column> = Vec::new();
        for column in self.columns.iter().filter(|column| column.of.width() > 1) {
            if best.iter().all(|known| known.of != column.of) {
                best.push(*column);
            }
        }
        let plausible = best.iter().filter(|column| column.plausible).count();
        best.truncate(plausible.clamp(1, WIDE_MAX));
        best
    }
}

/// How plausible a column is, at the alignment that suits it best; nothing where all words are 0.
fn column(rows: &[Row], of: Type, order: Arrangement) -> Option<Column> {
    let width = of.width();
    let mean = |shift: usize| {
        let slots = rows.iter().skip(shift).step_by(width);
        let numbers = slots.filter(|row| row.word.is_some()).filter_map(|row| row.numbers.get(&of)?.get(&order));
        let scores = numbers.map(|number| number.plausibility(of)).filter(|score| *score != 0.0);
        let (sum, count) = scores.fold((0.0, 0u32), |(sum, count), score| (sum + score, count + 1));
        (count > 0).then(|| (shift, sum / f64::from(count)))
    };
    let best = (0..width).filter_map(mean).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
    let plausibility = (best.1 * 100.0).round() / 100.0;
    let from = rows.get(best.0)?.address;
    Some(Column { of, order, plausibility, plausible: plausibility >= PLAUSIBLE, from })
}

/// The longest run of printable characters, in the byte order that has the longer one.
fn text(read: &[Read]) -> Option<String> {
    let order = |swapped: bool| {
        let bytes = read.iter().flat_map(|slot| {
            let word = slot.word.unwrap_or(0);
            if swapped { word.to_le_bytes() } else { word.to_be_bytes() }
        });
        let text: String =
            bytes.map(|byte| if matches!(byte, 0x20..=0x7E) { char::from(byte) } else { '\0' }).collect();
        let word = |run: &&str| {
            let letters = run.bytes().filter(|byte| byte.is_ascii_alphanumeric() || b" -_.".contains(byte)).count();
            (run.len() >= TEXT_MIN || run.len() == 2 * read.len()) && letters * 10 >= run.len() * 9
        };
        let runs = text.split('\0').map(str::trim).filter(word);
        runs.map(str::to_owned).collect::<Vec<_>>().join(" | ")
    };
    // Swapped letters are as many, but their capitals stand inside of words.
    let inside = |text: &str| {
        let pairs = text.as_bytes().windows(2);
        pairs.filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()).count()
    };
    let (usual, swapped) = (order(false), order(true));
    let better = swapped.len() > usual.len() || swapped.len() == usual.len() && inside(&swapped) < inside(&usual);
    let text = if better { swapped } else { usual };
    (!text.is_empty()).then_some(text)
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("address", &self.address)?;
        map.serialize_entry("word", &self.word)?;
        map.serialize_entry("hex", &self.word.map(|word| format!("{word:04x}")))?;
        map.serialize_entry("error", &self.error)?;
        for (of, numbers) in &self.numbers {
            map.serialize_entry(of.word(), numbers)?;
        }
        map.end()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = self.function;
        writeln!(f, "unit {}, {} registers, function code {}", self.unit, self.registers.len(), function.code())?;
        if function.reads_bits() {
            self.bits(f)?;
        } else if self.registers.len() <= FEW && self.asked.is_empty() {
            self.few(f)?;
        } else {
            self.many(f)?;
        }
        if let Some(text) = &self.text {
            write!(f, "\ntext: {text}")?;
        }
        Ok(())
    }
}

impl Table {
    fn bits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.registers {
            let shown = row.word.map_or_else(|| row.error.clone().unwrap_or_default(), |word| word.to_string());
            writeln!(f, "{:>7}  {shown}", row.address)?;
        }
        Ok(())
    }

    /// Each type on its line, the orders beside each other.
    fn few(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.registers {
            match (row.word, &row.error) {
                (Some(word), _) => writeln!(f, "{:>7}  0x{word:04x}  {word:016b}", row.address)?,
                (None, error) => writeln!(f, "{:>7}  {}", row.address, error.as_deref().unwrap_or_default())?,
            }
        }
        let Some(first) = self.registers.first().filter(|_| self.has_words()) else { return Ok(()) };
        writeln!(f, "\nfrom {}, * looks like something", first.address)?;
        write!(f, "{:6}", "type")?;
        for order in Arrangement::ALL {
            write!(f, " {:>20} ", order.word())?;
        }
        writeln!(f)?;
        for (of, numbers) in &first.numbers {
            write!(f, "{:6}", of.word())?;
            for order in Arrangement::ALL {
                let number = numbers.get(&order);
                let mark = number.is_some_and(|number| number.plausibility(*of) >= PLAUSIBLE);
                let shown = number.map_or(String::new(), Number::to_string);
                write!(f, " {shown:>20}{}", if mark { '*' } else { ' ' })?;
            }
            writeln!(f)?;
        }
        legend(f)
    }

    /// Each register on its line, types beside each other.
    fn many(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown();
        write!(f, "{:>7}  {:4} {:>6} {:>6}  {:2}", "address", "hex", "u16", "i16", "")?;
        for column in &shown {
            let title =
                format!("{} {}{}", column.of.word(), column.order.word(), if column.plausible { "*" } else { "" });
            write!(f, " {title:>14}")?;
        }
        writeln!(f)?;
        for row in &self.registers {
            let Some(word) = row.word else {
                writeln!(f, "{:>7}  {}", row.address, row.error.as_deref().unwrap_or_default())?;
                continue;
            };
            let characters = match Type::Text.read(&[word], Arrangement::Abcd) {
                Some(Number::Text(text)) => text,
                _ => String::new(),
            };
            write!(f, "{:>7}  {word:04x} {word:>6} {:>6}  {characters:2}", row.address, word as i16)?;
            for column in &shown {
                let places = row.address.checked_sub(column.from).map(usize::from);
                let begins = places.is_some_and(|places| places.is_multiple_of(column.of.width()));
                let number = row.numbers.get(&column.of).and_then(|numbers| numbers.get(&column.order));
                let number = number.filter(|_| begins || !column.plausible);
                write!(f, " {:>14}", number.map_or(String::new(), Number::to_string))?;
            }
            writeln!(f)?;
        }
        legend(f)?;
        if self.asked.is_empty() {
            write!(f, "\nother types: --as i32 u64 …; --json has all of them")?;
        }
        Ok(())
    }
}

fn legend(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(
        "abcd: as Modbus has it; cdab: word_order = \"low_first\"; badc: byte_order = \"low_first\"; dcba: both",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(words: &[Option<u16>], asked: Vec<Type>) -> Table {
        let read = words.iter().zip(100..).map(|(&word, address)| Read {
            address,
            word,
            error: word.is_none().then(|| "exception 2: illegal address".to_owned()),
        });
        Table::new(7, Function::Input, read.collect(), asked)
    }

    /// 230.5, 231.25, 50.0 as floats with the low word first, behind one word that is none.
    const SHIFTED: [Option<u16>; 7] =
        [Some(9), Some(0x8000), Some(0x4366), Some(0x4000), Some(0x4367), Some(0), Some(0x4248)];

    #[test]
    fn the_right_type_order_and_alignment_come_first() {
        let table = table(&SHIFTED, Vec::new());
        let best = table.columns.iter().find(|column| column.of.width() > 1).unwrap();
        assert_eq!((best.of, best.order, best.from, best.plausible), (Type::F32, Arrangement::Cdab, 101, true));
        let text = table.to_string();
        let line = |address: &str| text.lines().find(|line| line.trim_start().starts_with(address)).unwrap().to_owned();
        assert!(text.contains("f32 cdab*"), "{text}");
        assert!(line("101 ").contains("230.5") && line("103 ").contains("231.25"), "{text}");
        assert!(!line("102 ").contains("e-"), "what begins in the middle of a value is not shown:\n{text}");
    }

    #[test]
    fn a_refused_register_leaves_the_others_their_numbers() {
        let mut words = SHIFTED;
        words[3] = None;
        let table = table(&words, vec![Type::F32]);
        let text = table.to_string();
        assert!(text.contains("103  exception 2: illegal address"), "{text}");
        assert!(text.contains("230.5") && text.contains("50"), "{text}");
        assert!(!table.registers[2].numbers.contains_key(&Type::F32), "it would reach over the refused one");
        assert_eq!(text.matches("f32 ").count(), 4, "all four orders were asked for:\n{text}");
    }

    #[test]
    fn json_has_every_type_and_order() {
        let table = table(&[Some(0x4366), Some(0x8000)], Vec::new());
        let json = serde_json::to_value(&table).unwrap();
        let first = &json["registers"][0];
        assert_eq!(first["hex"], "4366");
        assert_eq!(first["f32"]["abcd"], 230.5);
        assert_eq!(first["u32"]["dcba"], 0x0080_6643);
        assert_eq!(first["u16"]["badc"], 0x6643);
        assert_eq!(json["registers"][1]["f32"], serde_json::Value::Null, "there is no second word");
        assert_eq!(json["function"], "input");
    }

    #[test]
    fn a_name_in_the_registers_is_told() {
        let words = b"SunS Eastron\0\0".chunks(2).map(|pair| Some(u16::from_be_bytes([pair[0], pair[1]])));
        let words: Vec<_> = words.collect();
        assert_eq!(table(&words, Vec::new()).text.as_deref(), Some("SunS Eastron"));
        let swapped: Vec<_> = words.iter().map(|word| word.map(u16::swap_bytes)).collect();
        assert_eq!(table(&swapped, Vec::new()).text.as_deref(), Some("SunS Eastron"));
    }

    #[test]
    fn a_few_registers_are_shown_type_by_type() {
        let text = table(&[Some(0x4366), Some(0x8000)], Vec::new()).to_string();
        let line = text.lines().find(|line| line.starts_with("f32")).unwrap();
        assert!(line.contains("230.5*"), "{text}");
    }
}
