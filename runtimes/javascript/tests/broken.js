export default async () => { syntax error
