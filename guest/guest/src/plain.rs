//! Plain data, without asking JavaScript: made from a compact form, and written as JSON.
//!
//! What is made is what `JSON.parse` makes of the text; what is written is what `JSON.stringify` writes. Writing gives
//! up on whatever is not plain, before any code of the program could run, and leaves it to `JSON.stringify`.

use core::{ffi::c_void, ptr};
use std::collections::BTreeSet;

use rquickjs::{Ctx, Value, qjs};
use rules::{compact, limits::JSON_DEPTH_MAX};

const WHOLE: i32 = qjs::JS_PROP_C_W_E as i32;

/// The names of properties, each made once for all bodies of a call.
pub struct Names<'js> {
    ctx: Ctx<'js>,
    texts: Vec<String>,
    atoms: Vec<Option<qjs::JSAtom>>,
}

impl<'js> Names<'js> {
    pub fn new(ctx: &Ctx<'js>, texts: Vec<String>) -> Self {
        let atoms = vec![None; texts.len()];
        Names { ctx: ctx.clone(), texts, atoms }
    }

    fn atom(&mut self, index: usize) -> Option<qjs::JSAtom> {
        if let Some(atom) = *self.atoms.get(index)? {
            return Some(atom);
        }
        let text = &self.texts[index];
        // SAFETY: the text outlives the call, which copies it.
        let atom = unsafe { qjs::JS_NewAtomLen(self.ctx.as_raw().as_ptr(), text.as_ptr().cast(), text.len() as _) };
        // 0 is no atom: there was no memory.
        self.atoms[index] = (atom != 0).then_some(atom);
        self.atoms[index]
    }
}

impl Drop for Names<'_> {
    fn drop(&mut self) {
        for atom in self.atoms.iter().flatten() {
            // SAFETY: made by `atom`, freed once.
            unsafe { qjs::JS_FreeAtom(self.ctx.as_raw().as_ptr(), *atom) };
        }
    }
}

/// The value of a compact form; `None` when there is no memory, or the form is broken.
pub fn make<'js>(ctx: &Ctx<'js>, names: &mut Names<'js>, form: &[u8]) -> Option<Value<'js>> {
    // SAFETY: `value` gives a value that is owned.
    unsafe { Some(Value::from_raw(ctx.clone(), value(ctx.as_raw().as_ptr(), names, &mut compact::Reader(form))?)) }
}

unsafe fn value(ctx: *mut qjs::JSContext, names: &mut Names, form: &mut compact::Reader) -> Option<qjs::JSValue> {
    let made = unsafe {
        match form.byte()? {
            compact::NULL => qjs::JS_NULL,
            compact::FALSE => qjs::JS_FALSE,
            compact::TRUE => qjs::JS_TRUE,
            compact::INTEGER => qjs::JS_MKVAL(qjs::JS_TAG_INT, i32::from_le_bytes(form.array()?)),
            compact::FLOAT => qjs::JS_NewNumber(ctx, f64::from_le_bytes(form.array()?)),
            compact::TEXT => {
                let length = form.number()?;
                let text = form.bytes(length)?;
                qjs::JS_NewStringLen(ctx, text.as_ptr().cast(), text.len() as _)
            }
            compact::ARRAY => {
                let array = qjs::JS_NewArray(ctx);
                let mut index = 0;
                while form.0.first() != Some(&compact::END) {
                    let is_in = value(ctx, names, form)
                        .is_some_and(|item| qjs::JS_DefinePropertyValueUint32(ctx, array, index, item, WHOLE) >= 0);
                    index += 1;
                    if !is_in {
                        qjs::JS_FreeValue(ctx, array);
                        return None;
                    }
                }
                form.byte()?;
                array
            }
            compact::OBJECT => {
                let object = qjs::JS_NewObject(ctx);
                loop {
                    let place = form.number();
                    if place == Some(0) {
                        break object;
                    }
                    let name = place.and_then(|place| names.atom(place - 1));
                    let item = name.and_then(|name| Some((name, value(ctx, names, form)?)));
                    let is_in = item
                        .is_some_and(|(name, item)| qjs::JS_DefinePropertyValue(ctx, object, name, item, WHOLE) >= 0);
                    if !is_in {
                        qjs::JS_FreeValue(ctx, object);
                        return None;
                    }
                }
            }
            _ => return None,
        }
    };
    if unsafe { qjs::JS_IsException(made) } { None } else { Some(made) }
}

/// The JSON of a value, if it is plain: numbers, strings, and trees of ordinary objects and arrays of such. Parsing
/// the text would give the same value in every respect.
pub fn write(ctx: &Ctx<'_>, value: &Value<'_>) -> Option<String> {
    let mut writer = Writer::begin(ctx)?;
    // SAFETY: a live value of this context.
    let is_plain = unsafe { writer.value(value.as_raw()) };
    is_plain.then(|| String::from_utf8(writer.text).ok()).flatten()
}

struct Writer {
    ctx: *mut qjs::JSContext,
    object_class: Kind,
    array_class: Kind,
    text: Vec<u8>,
    /// The objects written so far: one that is met again is no tree.
    seen: BTreeSet<*mut c_void>,
    depth: usize,
}

/// A class of objects and the prototype that plain ones have.
#[derive(Clone, Copy)]
struct Kind {
    class: qjs::JSClassID,
    prototype: *mut c_void,
}

impl Writer {
    /// `None` when a prototype has been given a `toJSON`, or another prototype.
    fn begin(ctx: &Ctx<'_>) -> Option<Self> {
        let raw = ctx.as_raw().as_ptr();
        // SAFETY: two fresh objects, read and freed.
        unsafe {
            let (object, array) = (qjs::JS_NewObject(raw), qjs::JS_NewArray(raw));
            let kinds = [object, array].map(|fresh| {
                let class = qjs::JS_GetClassID(fresh);
                let prototype = qjs::JS_GetClassProto(raw, class);
                qjs::JS_FreeValue(raw, fresh);
                (class, prototype)
            });
            let [(object_class, object_prototype), (array_class, array_prototype)] = kinds;
            let to_json = qjs::JS_NewAtomLen(raw, c"toJSON".as_ptr(), 6);
            let above = qjs::JS_GetPrototype(raw, array_prototype);
            let is_usual = to_json != 0
                && qjs::JS_VALUE_GET_NORM_TAG(above) == qjs::JS_TAG_OBJECT
                && qjs::JS_VALUE_GET_PTR(above) == qjs::JS_VALUE_GET_PTR(object_prototype)
                && !has_own(raw, object_prototype, to_json)
                && !has_own(raw, array_prototype, to_json);
            let kind = |class, prototype| Kind { class, prototype: qjs::JS_VALUE_GET_PTR(prototype) };
            let (object_class, array_class) =
                (kind(object_class, object_prototype), kind(array_class, array_prototype));
            qjs::JS_FreeAtom(raw, to_json);
            for value in [above, object_prototype, array_prototype] {
                qjs::JS_FreeValue(raw, value);
            }
            is_usual.then(|| Writer {
                ctx: raw,
                object_class,
                array_class,
                text: Vec::with_capacity(256),
                seen: BTreeSet::new(),
                depth: 0,
            })
        }
    }

    unsafe fn value(&mut self, value: qjs::JSValue) -> bool {
        unsafe {
            match qjs::JS_VALUE_GET_NORM_TAG(value) {
                qjs::JS_TAG_NULL => self.put(b"null"),
                qjs::JS_TAG_BOOL => self.put(if qjs::JS_VALUE_GET_BOOL(value) { b"true" } else { b"false" }),
                qjs::JS_TAG_INT => self.put_integer(qjs::JS_VALUE_GET_INT(value)),
                qjs::JS_TAG_FLOAT64 => {
                    let number = qjs::JS_VALUE_GET_FLOAT64(value);
                    let is_plain = number.is_finite() && !(number == 0.0 && number.is_sign_negative());
                    is_plain && self.with_text(value, |writer, text| writer.put(text))
                }
                qjs::JS_TAG_STRING | qjs::JS_TAG_STRING_ROPE => self.with_text(value, Writer::put_quoted),
                qjs::JS_TAG_OBJECT => self.object(value),
                _ => false,
            }
        }
    }

    unsafe fn object(&mut self, object: qjs::JSValue) -> bool {
        unsafe {
            let class = qjs::JS_GetClassID(object);
            let is_array = class == self.array_class.class;
            let kind = if is_array { self.array_class } else { self.object_class };
            if class != kind.class || self.depth >= JSON_DEPTH_MAX || qjs::JS_IsExtensible(self.ctx, object) != 1 {
                return false;
            }
            let prototype = qjs::JS_GetPrototype(self.ctx, object);
            let has_usual = qjs::JS_VALUE_GET_NORM_TAG(prototype) == qjs::JS_TAG_OBJECT
                && qjs::JS_VALUE_GET_PTR(prototype) == kind.prototype;
            qjs::JS_FreeValue(self.ctx, prototype);
            if !has_usual || !self.seen.insert(qjs::JS_VALUE_GET_PTR(object)) {
                return false;
            }
            let Some(names) = OwnNames::of(self.ctx, object, qjs::JS_GPN_STRING_MASK) else { return false };
            if OwnNames::of(self.ctx, object, qjs::JS_GPN_SYMBOL_MASK).is_none_or(|symbols| symbols.count > 0) {
                return false;
            }
            self.depth += 1;
            let is_plain = if is_array { self.items(object, &names) } else { self.properties(object, &names) };
            self.depth -= 1;
            is_plain
        }
    }

    unsafe fn properties(&mut self, object: qjs::JSValue, names: &OwnNames) -> bool {
        unsafe {
            self.text.push(b'{');
            for (index, name) in names.atoms().enumerate() {
                if index > 0 {
                    self.text.push(b',');
                }
                let mut length = 0;
                let text = qjs::JS_AtomToCStringLen(self.ctx, &mut length, name);
                if text.is_null() {
                    return false;
                }
                let is_text = self.put_quoted(core::slice::from_raw_parts(text.cast(), length as usize));
                qjs::JS_FreeCString(self.ctx, text);
                self.text.push(b':');
                if !is_text || !self.property(object, name) {
                    return false;
                }
            }
            self.put(b"}")
        }
    }

    unsafe fn items(&mut self, array: qjs::JSValue, names: &OwnNames) -> bool {
        unsafe {
            let mut length = 0;
            // Its items and `length`: no holes, and nothing else.
            if qjs::JS_GetLength(self.ctx, array, &mut length) != 0 || i64::from(names.count) != length + 1 {
                return false;
            }
            self.text.push(b'[');
            for (index, name) in names.atoms().take(length as usize).enumerate() {
                if index > 0 {
                    self.text.push(b',');
                }
                if !self.property(array, name) {
                    return false;
                }
            }
            self.put(b"]")
        }
    }

    /// An own property that is a value, and may be written, listed and deleted.
    unsafe fn property(&mut self, object: qjs::JSValue, name: qjs::JSAtom) -> bool {
        unsafe {
            let Some(property) = own(self.ctx, object, name) else { return false };
            let is_plain = property.flags == WHOLE && self.value(property.value);
            free(self.ctx, &property);
            is_plain
        }
    }

    unsafe fn with_text(&mut self, value: qjs::JSValue, put: impl FnOnce(&mut Self, &[u8]) -> bool) -> bool {
        unsafe {
            let mut length = 0;
            let text = qjs::JS_ToCStringLen2(self.ctx, &mut length, value, false);
            if text.is_null() {
                return false;
            }
            let is_plain = put(self, core::slice::from_raw_parts(text.cast(), length as usize));
            qjs::JS_FreeCString(self.ctx, text);
            is_plain
        }
    }

    fn put(&mut self, text: &[u8]) -> bool {
        self.text.extend_from_slice(text);
        true
    }

    fn put_integer(&mut self, number: i32) -> bool {
        let mut digits = [0; 11];
        let mut begin = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            begin -= 1;
            digits[begin] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            begin -= 1;
            digits[begin] = b'-';
        }
        self.put(&digits[begin..])
    }

    /// As `JSON.stringify` quotes. Halves of characters, which are no UTF-8, are not for here.
    fn put_quoted(&mut self, text: &[u8]) -> bool {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        if core::str::from_utf8(text).is_err() {
            return false;
        }
        self.text.push(b'"');
        let mut plain = 0;
        for (index, byte) in text.iter().enumerate() {
            let escaped = match byte {
                b'"' | b'\\' => *byte,
                8 => b'b',
                9 => b't',
                10 => b'n',
                12 => b'f',
                13 => b'r',
                0..32 => b'u',
                _ => continue,
            };
            self.text.extend_from_slice(&text[plain..index]);
            plain = index + 1;
            self.text.extend_from_slice(&[b'\\', escaped]);
            if escaped == b'u' {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                self.text.extend_from_slice(&[b'0', b'0', high, low]);
            }
        }
        self.text.extend_from_slice(&text[plain..]);
        self.put(b"\"")
    }
}

/// The names of an object's own properties, freed when dropped.
struct OwnNames {
    ctx: *mut qjs::JSContext,
    table: *mut qjs::JSPropertyEnum,
    count: u32,
}

impl OwnNames {
    unsafe fn of(ctx: *mut qjs::JSContext, object: qjs::JSValue, which: u32) -> Option<Self> {
        let (mut table, mut count) = (ptr::null_mut(), 0);
        let status = unsafe { qjs::JS_GetOwnPropertyNames(ctx, &mut table, &mut count, object, which as i32) };
        (status == 0).then_some(OwnNames { ctx, table, count })
    }

    fn atoms(&self) -> impl Iterator<Item = qjs::JSAtom> {
        // SAFETY: the table holds so many entries until this is dropped.
        (0..self.count as usize).map(|index| unsafe { (*self.table.add(index)).atom })
    }
}

impl Drop for OwnNames {
    fn drop(&mut self) {
        unsafe { qjs::JS_FreePropertyEnum(self.ctx, self.table, self.count) };
    }
}

unsafe fn own(ctx: *mut qjs::JSContext, object: qjs::JSValue, name: qjs::JSAtom) -> Option<qjs::JSPropertyDescriptor> {
    let mut property = qjs::JSPropertyDescriptor {
        flags: 0,
        value: qjs::JS_UNDEFINED,
        getter: qjs::JS_UNDEFINED,
        setter: qjs::JS_UNDEFINED,
    };
    let found = unsafe { qjs::JS_GetOwnProperty(ctx, &mut property, object, name) };
    (found == 1).then_some(property)
}

unsafe fn free(ctx: *mut qjs::JSContext, property: &qjs::JSPropertyDescriptor) {
    for value in [property.value, property.getter, property.setter] {
        unsafe { qjs::JS_FreeValue(ctx, value) };
    }
}

unsafe fn has_own(ctx: *mut qjs::JSContext, object: qjs::JSValue, name: qjs::JSAtom) -> bool {
    unsafe { own(ctx, object, name).inspect(|property| free(ctx, property)).is_some() }
}
