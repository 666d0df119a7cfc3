// What compilers to CommonJS write.
exports.__esModule = true;
exports.default = async ({ res }) => res.text('from CommonJS');
