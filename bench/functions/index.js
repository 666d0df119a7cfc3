export default ({ res }) => res.text("hello");
