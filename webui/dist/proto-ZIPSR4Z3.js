import{a as s,b as o,c as r}from"./chunk-K3RZQVWB.js";import"./chunk-6ATBPRIA.js";export{s as Mistake,o as parseProto,r as typesOf};
