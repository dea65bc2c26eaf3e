import{a,b,c}from"./chunk-K3RZQVWB.js";import"./chunk-6ATBPRIA.js";export{a as Mistake,b as parseProto,c as typesOf};
